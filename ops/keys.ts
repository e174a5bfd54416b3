/** `npm run keys`: makes, lists, rotates and revokes API keys of a company, or of operators. */
import { parseArgs } from "node:util"
import { z } from "zod"
import {
  CommandError,
  callApi,
  DEPLOYMENT_HELP,
  DEPLOYMENT_OPTIONS,
  type Deployment,
  deploymentOf,
  runCommand,
} from "./deployment.ts"

const HELP = `npm run keys -- <list|add|rotate|revoke> …

  list                                the keys, by their first characters
  add --name NAME --role ROLE         a new key: success-analyst, success-manager or admin
  add --name NAME --operator          a new operator's key
  rotate ID                           a new key of the same name and role; the old one stays valid for an overlap
  revoke ID                           ends a key and its sessions everywhere within half a minute

  --operator       operators' keys, not a company's
  --expires TIME   when the new key expires (2027-01-01T00:00:00Z); default: never
  --overlap HOURS  how long the old key is still accepted (24)

A new key is printed once and cannot be read again.
${DEPLOYMENT_HELP}`

const OPTIONS = {
  ...DEPLOYMENT_OPTIONS,
  name: { type: "string" },
  role: { type: "string" },
  operator: { type: "boolean", default: false },
  expires: { type: "string" },
  overlap: { type: "string", default: "24" },
} as const

const key = z.object({
  id: z.string(),
  name: z.string(),
  role: z.string(),
  prefix: z.string().nullable(),
  createdAt: z.string(),
  expiresAt: z.string().nullable(),
  lastUsedAt: z.string().nullable(),
  isValid: z.boolean(),
})
type Key = z.infer<typeof key>
const newKey = key.extend({ key: z.string(), oldAcceptedUntil: z.string().optional() })
const list = z.object({ data: z.array(key) })

/** The command line. An invalid part is not quoted, since it may be a key. */
function readArguments() {
  try {
    return parseArgs({ allowPositionals: true, options: OPTIONS })
  } catch {
    throw new CommandError("An option is unknown or lacks its value (--help).")
  }
}
type Values = ReturnType<typeof readArguments>["values"]

async function main(): Promise<void> {
  const { values, positionals } = readArguments()
  const [verb, id, ...more] = positionals
  if (values.help || verb === undefined) return void process.stdout.write(HELP)
  if (more.length > 0) throw new CommandError("There are too many arguments (--help).")
  const deployment = deploymentOf(values)
  const path = values.operator ? "/api/operator-keys" : "/api/keys"
  const { result, text } = await run(deployment, path, { verb, id, values })
  process.stdout.write(`${values.json ? JSON.stringify(result) : text}\n`)
}

interface Asked {
  readonly verb: string
  readonly id: string | undefined
  readonly values: Values
}

async function run(
  deployment: Deployment,
  path: string,
  { verb, id, values }: Asked,
): Promise<{ result: object; text: string }> {
  const { expires: expiresAt } = values
  const expiry = expiresAt === undefined ? {} : { expiresAt }
  if (verb === "list") {
    const { data } = await callApi(deployment, "GET", path, list)
    return { result: { data }, text: data.length === 0 ? "There is no key yet." : data.map(line).join("\n") }
  }
  if (verb === "add") {
    const { name, role, operator } = values
    if (name === undefined || (role === undefined) !== operator) {
      throw new CommandError("Name the key with --name, and either its --role or --operator (--help).")
    }
    const made = await callApi(deployment, "POST", path, newKey, {
      name,
      ...(role !== undefined && { role }),
      ...expiry,
    })
    return { result: made, text: shownOnce(made) }
  }
  if (id === undefined) throw new CommandError("Say list, add, rotate ID or revoke ID (--help).")
  const place = `${path}/${encodeURIComponent(id)}`
  if (verb === "rotate") {
    const overlapHours = Number(values.overlap)
    if (!Number.isInteger(overlapHours)) throw new CommandError("--overlap takes whole hours.")
    const made = await callApi(deployment, "POST", `${place}/rotate`, newKey, { overlapHours, ...expiry })
    return { result: made, text: `${shownOnce(made)}\nThe old key is accepted until ${made.oldAcceptedUntil}.` }
  }
  if (verb !== "revoke") throw new CommandError("Say list, add, rotate or revoke (--help).")
  const ended = await callApi(deployment, "DELETE", place, key)
  return { result: ended, text: `Revoked: ${line(ended)}` }
}

const shownOnce = (made: z.infer<typeof newKey>): string => `${line(made)}\n${made.key}`

function line({ id, name, role, prefix, expiresAt, lastUsedAt, isValid }: Key): string {
  const state = isValid ? (expiresAt === null ? "valid" : `valid until ${expiresAt}`) : "ended"
  const used = lastUsedAt === null ? "never used" : `last used ${lastUsedAt}`
  return `${id}  ${prefix ?? "(no prefix)"}…  ${name}  ${role}  ${state}  ${used}`
}

await runCommand(main)
