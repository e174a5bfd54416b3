/** Companies and their keys, as an operator adds them. */
import { createHash, randomBytes } from "node:crypto"
import { sql, world } from "../world/world.ts"

export type Role = "success-analyst" | "success-manager" | "admin"

/** Adds a company. */
export const addCompany = (id: string): Promise<unknown> =>
  sql("insert into companies (id, name) values ($1, 'Another Company') on conflict do nothing", [id])

/** A new API key of a company; only its hash is stored. */
export async function newApiKey(role: Role, companyId = world().companyId): Promise<string> {
  const key = `cs_flow_${randomBytes(18).toString("hex")}`
  const hash = createHash("sha256").update(key).digest()
  await sql(
    "insert into api_keys (company_id, id, name, role, hash, created_at) values ($1, $2, 'flow', $3, $4, now())",
    [companyId, `key_${randomBytes(6).toString("hex")}`, role, hash],
  )
  return key
}
