/** Flags in both stores, and a change made by another isolate. */
import { randomUUID } from "node:crypto"
import type { FlagValue } from "../../../shared/domain/flags.ts"
import type { SetFlag } from "../../../shared/flags/flags.ts"
import { redis } from "../world/external-services.ts"
import { sql, worldNow } from "../world/world.ts"

/** Sets a flag in Redis alone, as a change by another isolate does: the Worker is not notified. */
export async function setFlagInRedis(name: string, value: Partial<FlagValue>): Promise<void> {
  const now = await worldNow()
  const flag: SetFlag = {
    value: { enabled: true, percentage: 100, allow: [], deny: [], ...value },
    revision: now.getTime() + 1,
    changeId: randomUUID(),
    updatedAt: now.toISOString(),
    updatedBy: "admin",
    reason: null,
  }
  await redis("SET", `flag:${name}`, JSON.stringify(flag))
}

/** What each store holds of a flag; null: nothing. */
export async function storedFlag(name: string): Promise<{ redis: SetFlag | null; postgres: SetFlag | null }> {
  const text = await redis<string | null>("GET", `flag:${name}`)
  const [row] = await sql<{ value: FlagValue; revision: string; change_id: string; at: Date; by: string; why: string }>(
    `select value, revision, change_id, updated_at as at, updated_by as by, reason as why from flags where name = $1`,
    [name],
  )
  return {
    redis: text === null ? null : (JSON.parse(text) as SetFlag),
    postgres: row
      ? {
          ...{ value: row.value, revision: Number(row.revision), changeId: row.change_id },
          ...{ updatedAt: row.at.toISOString(), updatedBy: row.by, reason: row.why },
        }
      : null,
  }
}
