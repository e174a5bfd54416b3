/** Direct access to the local replacements: contents of Redis and QStash, calls of the providers' APIs. */
import { api, control, world } from "./world.ts"

/** One command to Redis, over Upstash's REST protocol. */
export async function redis<T>(...command: readonly string[]): Promise<T> {
  const { UPSTASH_REDIS_REST_URL: url = "", UPSTASH_REDIS_REST_TOKEN: token = "" } = world().vars
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(command),
  })
  if (!response.ok) throw new Error(`Redis answered ${response.status}`)
  return ((await response.json()) as { result: T }).result
}

/** Sets a switch for every company, as an operator does. */
export async function setSwitchForAll(name: string, isOn: boolean): Promise<unknown> {
  const { status, body } = await putFlag(name, { enabled: isOn })
  if (status !== 200) throw new Error(`setting ${name} was answered ${status}`)
  return body
}

/** Sets a flag; returns the answer. */
export const putFlag = (name: string, flag: object, key?: string) =>
  api(`/api/flags/${name}`, {
    method: "PUT",
    body: JSON.stringify(flag),
    headers: { "content-type": "application/json" },
    ...(key !== undefined && { key }),
  })

/** Reads from QStash's API. */
export async function qstash<T>(path: string): Promise<T> {
  const { QSTASH_URL: url = "", QSTASH_TOKEN: token = "" } = world().vars
  const response = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}` } })
  if (!response.ok) throw new Error(`QStash answered ${response.status}`)
  return (await response.json()) as T
}

export interface ProviderCall {
  readonly provider: "stripe" | "whop"
  readonly method: string
  readonly path: string
  readonly account?: string | null
  readonly body: unknown
  readonly idempotencyKey: string | null
  readonly status: number
  readonly isReplay: boolean
}

/** All calls of the providers' APIs. */
export const providerCalls = async (): Promise<readonly ProviderCall[]> =>
  (await control<{ calls: ProviderCall[] }>("GET", "/mailbox")).calls

/** Calls that change something at the providers. */
export const providerWrites = async (): Promise<readonly ProviderCall[]> =>
  (await providerCalls()).filter(({ method }) => method === "POST")

/** Creates or replaces an object at the provider's replacement. */
export async function putProviderObject(
  provider: "stripe" | "whop",
  kind: string,
  id: string,
  object: object,
): Promise<void> {
  const response = await fetch(objectUrl(provider, kind, id), { method: "PUT", body: JSON.stringify(object) })
  if (!response.ok) throw new Error(`creating ${kind}/${id} was answered ${response.status}`)
}

/** Reads an object from the provider's replacement. */
export const readProviderObject = async (provider: "stripe" | "whop", kind: string, id: string) =>
  (await (await fetch(objectUrl(provider, kind, id))).json()) as Record<string, unknown>

function objectUrl(provider: "stripe" | "whop", kind: string, id: string): string {
  const { STRIPE_API_URL: stripe = "", WHOP_API_URL: whop = "" } = world().vars
  return `${provider === "stripe" ? stripe : new URL(whop).origin}/__objects/${kind}/${id}`
}
