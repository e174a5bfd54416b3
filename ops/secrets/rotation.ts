/**
 * Rotations of an environment's secrets. Pure: takes the variables of the file, the state of unfinished rotations and
 * the time, and returns new variables and state. The state contains fingerprints, no secrets.
 */
import { createHash } from "node:crypto"
import { z } from "zod"
import { parseKeyRing } from "../../shared/crypto/key-ring.ts"
import { CommandError } from "../deployment.ts"

/** The variables of one environment, as `wrangler secret bulk` takes them. */
export type Variables = Readonly<Record<string, string>>

export const rotationsSchema = z.strictObject({
  /** Old webhook secrets, and until when the provider may sign with them. */
  webhooks: z.array(z.strictObject({ variable: z.string(), fingerprint: z.string(), until: z.iso.datetime() })),
  /** Since when new keys of QStash are in the file and possibly not in the Worker. */
  qstashPendingSince: z.iso.datetime().nullable(),
})

/** Unfinished rotations. */
export type Rotations = z.output<typeof rotationsSchema>

export const NO_ROTATIONS: Rotations = { webhooks: [], qstashPendingSince: null }

export interface FileChange {
  readonly variables: Variables
  readonly rotations: Rotations
}

export const WEBHOOK_VARIABLES = { stripe: "STRIPE_WEBHOOK_SECRET", whop: "WHOP_WEBHOOK_SECRET" } as const
export const KEY_RINGS = ["ENCRYPTION_KEYS", "TOKEN_SIGNING_KEYS"] as const

/** The bound of shared/config.ts for a deployment. */
const SECRET_CHARS_MIN = 16
/** A delivery is verified against each of them in turn. */
const SECRETS_MAX = 5
const HOUR_MS = 3_600_000

/** The first digits of the SHA-256, as in the API. */
export const fingerprintOf = (secret: string): string =>
  createHash("sha256").update(secret, "utf8").digest("hex").slice(0, 8)

/** The secrets of a comma-separated variable. */
export const secretsIn = (value: string | undefined): readonly string[] =>
  (value ?? "")
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")

/** Puts a new webhook secret first and keeps the others, to be removed after the overlap. */
export function rotateWebhook(
  { variables, rotations }: FileChange,
  request: { readonly variable: string; readonly secret: string; readonly now: Date; readonly overlapHours: number },
): FileChange {
  const { variable, secret, now, overlapHours } = request
  if (secret.length < SECRET_CHARS_MIN || !/^[\x21-\x2b\x2d-\x7e]+$/.test(secret)) {
    throw new CommandError(
      `A secret has at least ${SECRET_CHARS_MIN} visible characters, and no spaces and commas among them.`,
    )
  }
  const old = secretsIn(variables[variable])
  if (old.includes(secret)) throw new CommandError(`${variable} has this secret already.`)
  if (old.length >= SECRETS_MAX) {
    throw new CommandError(`${variable} has ${old.length} secrets; finish an earlier rotation first.`)
  }
  const until = new Date(now.getTime() + overlapHours * HOUR_MS).toISOString()
  const known = rotations.webhooks.filter((entry) => entry.variable === variable).map((entry) => entry.fingerprint)
  const ending = old
    .map(fingerprintOf)
    .filter((fingerprint) => !known.includes(fingerprint))
    .map((fingerprint) => ({ variable, fingerprint, until }))
  return {
    variables: { ...variables, [variable]: [secret, ...old].join(",") },
    rotations: { ...rotations, webhooks: [...rotations.webhooks, ...ending] },
  }
}

/**
 * Removes old webhook secrets whose overlap is over. Throws `CommandError` with the end of the overlap when there is
 * none.
 */
export function finishWebhook(
  { variables, rotations }: FileChange,
  { variable, now }: { readonly variable: string; readonly now: Date },
): FileChange {
  const entries = rotations.webhooks.filter((entry) => entry.variable === variable)
  const over = entries.filter(({ until }) => Date.parse(until) <= now.getTime())
  const [first] = entries.map(({ until }) => until).sort()
  if (first === undefined) throw new CommandError(`No rotation of ${variable} is under way.`)
  if (over.length === 0) throw new CommandError(`The old secret of ${variable} may still be used until ${first}.`)
  const removed = new Set(over.map(({ fingerprint }) => fingerprint))
  const [newest = "", ...older] = secretsIn(variables[variable])
  const kept = [newest, ...older.filter((secret) => !removed.has(fingerprintOf(secret)))]
  return {
    variables: { ...variables, [variable]: kept.join(",") },
    rotations: { ...rotations, webhooks: rotations.webhooks.filter((entry) => !over.includes(entry)) },
  }
}

/** QStash's signing keys. */
export interface SigningKeys {
  readonly current: string
  readonly next: string
}

/**
 * Plans a rotation of QStash's keys. The Worker accepts (A, B); QStash signs with A. After one rotation it signs with
 * B, which the Worker accepts as its next key, and only then the Worker gets (B, C): it always has the key in use.
 * `adopt`: that rotation has happened already, because its answer was lost or it was made in the console. `replace`: it
 * has happened more than once, and the Worker may refuse all calls until it has the new keys. Throws `CommandError`
 * until the keys of the last rotation are confirmed to be in the Worker: after another one it would refuse QStash's
 * calls.
 */
export function planQstash({ variables, rotations }: FileChange, keys: SigningKeys): "rotate" | "adopt" | "replace" {
  const { QSTASH_CURRENT_SIGNING_KEY: current, QSTASH_NEXT_SIGNING_KEY: next } = variables
  if (keys.current === current && keys.next === next) {
    if (rotations.qstashPendingSince === null) return "rotate"
    throw new CommandError(
      `The keys of ${rotations.qstashPendingSince} must be in the Worker first: upload them, then finish --qstash.`,
    )
  }
  return keys.current === next && rotations.qstashPendingSince === null ? "adopt" : "replace"
}

/** The file with QStash's current keys, which must still be uploaded. */
export const applyQstashKeys = ({ variables, rotations }: FileChange, keys: SigningKeys, now: Date): FileChange => ({
  variables: { ...variables, QSTASH_CURRENT_SIGNING_KEY: keys.current, QSTASH_NEXT_SIGNING_KEY: keys.next },
  rotations: { ...rotations, qstashPendingSince: now.toISOString() },
})

/** Records that the Worker has the keys. */
export function finishQstash({ variables, rotations }: FileChange): FileChange {
  if (rotations.qstashPendingSince === null) throw new CommandError("No rotation of QStash's keys is under way.")
  return { variables, rotations: { ...rotations, qstashPendingSince: null } }
}

/** Adds the next version to a key ring; the old ones stay, since they decrypt older data. */
export function rotateKeys(
  { variables, rotations }: FileChange,
  { variable, key }: { readonly variable: string; readonly key: Uint8Array },
): FileChange {
  const text = variables[variable] ?? ""
  const ring = parseKeyRing(text)
  if (!ring.ok)
    throw new CommandError(`${variable} is not a key ring (entry ${ring.error.entry}: ${ring.error.reason}).`)
  const entry = `v${ring.value.newestVersion + 1}:${Buffer.from(key).toString("base64")}`
  const value = `${text.trim()},${entry}`
  if (!parseKeyRing(value).ok) throw new CommandError(`${variable} takes no further version.`)
  return { variables: { ...variables, [variable]: value }, rotations }
}
