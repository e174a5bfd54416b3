/** The demo's requests to the Worker and the control server, with time-outs and parsed answers. */
import { setTimeout as sleep } from "node:timers/promises"
import { z } from "zod"

/** A day with much due work takes seconds; the control server stops after 280. */
const ADVANCE_MS_MAX = 290_000
const ANSWER_MS_MAX = 30_000

/** The world's addresses, and the operator's key to its API. */
export interface World {
  readonly workerUrl: string
  readonly controlUrl: string
  readonly apiKey: string
  /** The company of API calls. */
  readonly companyId: string
  /** The secrets of the deployment's own endpoints. */
  readonly secrets: { readonly stripe: string; readonly whop: string }
}

/** An unexpected answer of the world; the message is one sentence. */
export class DemoError extends Error {}

const clock = z.object({ now: z.iso.datetime() })
const message = z.object({
  channel: z.string(),
  to: z.string(),
  subject: z.string(),
  body: z.string(),
  at: z.string(),
  from: z.string().optional(),
  account: z.string().optional(),
  headers: z.record(z.string(), z.string()).optional(),
})
const mailbox = z.object({ messages: z.array(message) })
const addresses = z.object({ addresses: z.record(z.string(), z.string()) })
const ownKeys = z.object({
  stripeApiKey: z.string(),
  sendgridApiKey: z.string(),
  slackWebhookUrl: z.string(),
})

/** A message as the member sees it. */
export type Message = z.output<typeof message>

async function askControl<T extends z.ZodType>(
  { controlUrl }: World,
  path: string,
  schema: T,
  body?: unknown,
): Promise<z.output<T>> {
  const response = await fetch(new URL(path, controlUrl), {
    ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(ADVANCE_MS_MAX),
  })
  const text = await response.text()
  if (!response.ok) throw new DemoError(`The control server answered ${response.status} to ${path}: ${text}`)
  return schema.parse(JSON.parse(text))
}

/** The Worker's time. */
export const worldNow = async (world: World): Promise<Date> => new Date((await askControl(world, "/clock", clock)).now)

/** Moves time forward and resolves when all due work is done. */
export const advance = async (world: World, duration: string): Promise<Date> =>
  new Date((await askControl(world, "/clock", clock, { advance: duration })).now)

/** Empties the world. */
export const reset = (world: World): Promise<unknown> => askControl(world, "/reset", clock, {})

/** All messages to members and the team. */
export const messagesOf = async (world: World): Promise<readonly Message[]> =>
  (await askControl(world, "/mailbox", mailbox)).messages

/** Keys of an account of its own at each local replacement. */
export const ownKeysOf = (world: World, account: string): Promise<z.output<typeof ownKeys>> =>
  askControl(world, "/own-keys", ownKeys, { account })

/** The address of the local replacement of Stripe's API. */
export const stripeApiUrl = async (world: World): Promise<string> =>
  (await askControl(world, "/", addresses)).addresses.stripeApi ?? ""

/** Attempts a second apart during an outage, which may be injected and end by itself. */
const API_TRIES_MAX = 20

export interface ApiCall {
  readonly method?: "POST" | "PUT"
  readonly body?: unknown
  /** Sent as it is, in place of `body`. */
  readonly text?: string
  /** A status that is no fault: 409 where it exists already. Its answer is null. */
  readonly accepts?: number
}

/** Reads from the Worker's API; waits while it answers 503. Throws `DemoError` for every other answer but 2xx. */
export async function askApi<T extends z.ZodType>(world: World, path: string, schema: T): Promise<z.output<T>> {
  return schema.parse(await callApi(world, path))
}

/** Calls the Worker's API as `askApi` does; the body of the answer, null for none and for the status that `accepts` names. */
export async function callApi(world: World, path: string, call: ApiCall = {}): Promise<unknown> {
  const { method = "GET", accepts } = call
  const body = call.text ?? (call.body === undefined ? null : JSON.stringify(call.body))
  for (let tries = 1; ; tries += 1) {
    const response = await fetch(new URL(path, world.workerUrl), {
      method,
      headers: {
        authorization: `Bearer ${world.apiKey}`,
        "x-company-id": world.companyId,
        ...(body !== null && { "content-type": "application/json" }),
      },
      ...(body !== null && { body }),
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    })
    const text = await response.text()
    if (response.ok) return text === "" ? null : JSON.parse(text)
    if (response.status === accepts) return null
    if (response.status === 401)
      throw new DemoError("The Worker does not accept the key; pass its admin key with --key.")
    if (response.status !== 503 || tries === API_TRIES_MAX) {
      throw new DemoError(`The Worker answered ${response.status} to ${method} ${path}: ${text.slice(0, 400)}`)
    }
    await sleep(1_000)
  }
}

/** One request of a member or a provider. Redirects are not followed: they lead to other hosts. */
export const request = (url: string, init: RequestInit = {}): Promise<Response> =>
  fetch(url, { ...init, redirect: "manual", signal: AbortSignal.timeout(ANSWER_MS_MAX) })
