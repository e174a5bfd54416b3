/** Reads and rotates QStash's signing keys (upstash.com/docs/qstash/api-reference/signing-keys). */
import { z } from "zod"
import { CommandError } from "../deployment.ts"
import type { SigningKeys, Variables } from "./rotation.ts"

const URL_DEFAULT = "https://qstash.upstash.io"
const ANSWER_MS_MAX = 15_000

const keys = z.object({ current: z.string().min(1), next: z.string().min(1) })

/** QStash's signing keys, now and after the next rotation. */
export const currentKeys = (variables: Variables): Promise<SigningKeys> => call(variables, "GET", "/v2/keys")

/** Makes the next key the current one, and returns both. Not idempotent. */
export const rotatedKeys = (variables: Variables): Promise<SigningKeys> => call(variables, "POST", "/v2/keys/rotate")

async function call(variables: Variables, method: "GET" | "POST", path: string): Promise<SigningKeys> {
  const { QSTASH_URL: url = URL_DEFAULT, QSTASH_TOKEN: token } = variables
  if (!token) throw new CommandError("The file has no QSTASH_TOKEN.")
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    redirect: "manual",
    signal: AbortSignal.timeout(ANSWER_MS_MAX),
  }).catch(() => {
    throw new CommandError(`QStash does not answer at ${url}; run the command again, it continues where it stopped.`)
  })
  const answer = keys.safeParse(await response.json().catch(() => undefined))
  if (response.ok && answer.success) return answer.data
  throw new CommandError(`QStash answered ${response.status} to ${method} ${path}.`)
}
