/**
 * QStash's own client over our way out. By itself it offers no way to end a call that hangs, tries six times, and quotes
 * bodies in errors and on the console; so it writes the requests, and what sends them is ours: one attempt, bounded in time,
 * through the circuit breaker and the invocation's budget, and no error carries a body.
 */
import { Client } from "@upstash/qstash"
import type * as z from "zod"
import { notSentOf } from "../../../shared/network/outbound-fetch.ts"

/** A call to QStash did not work. `retry`: the same call, with the same deduplication id, may work later. */
export class QstashError extends Error {
  readonly code = "QSTASH"
  readonly retry: boolean
  /** Null when there was no answer. */
  readonly status: number | null
  readonly reason: string
  constructor(options: { retry: boolean; status: number | null; reason: string }) {
    super(`QStash call failed: ${options.reason}${options.status === null ? "" : ` (${options.status})`}`)
    this.name = "QstashError"
    this.retry = options.retry
    this.status = options.status
    this.reason = options.reason
  }
}

/** Accepting a message takes QStash tens of milliseconds; a webhook may be waiting behind this. */
const CALL_TIMEOUT_MS = 2_000

type QstashFetch = (input: string, init: RequestInit) => Promise<Response>

/** Where an account is reached. The ways out are the platform's own unless told otherwise. */
export interface QstashAccount {
  readonly url: string
  readonly token: string
  readonly fetch?: QstashFetch
  /** Asks even while QStash is being left alone. */
  readonly fetchPastBreaker?: QstashFetch
}

interface CallOptions {
  readonly timeoutMs?: number | undefined
  readonly isPastBreaker?: boolean | undefined
}

type Requester = Client["http"]
type QstashRequest = Parameters<Requester["request"]>[0]

class OutboundClient extends Client {
  constructor(
    { url, token, fetch: send = (input, init) => fetch(input, init), ...account }: QstashAccount,
    options: CallOptions,
  ) {
    super({ baseUrl: url, token, devMode: false, enableTelemetry: false, retry: false })
    const { timeoutMs = CALL_TIMEOUT_MS, isPastBreaker = false } = options
    const way = isPastBreaker ? (account.fetchPastBreaker ?? send) : send
    const request = (asked: QstashRequest): Promise<unknown> => callOnce(way, { url, token, timeoutMs }, asked)
    this.http = {
      // What comes is parsed by whoever asked (`understood`); the package's type for it is a promise that nobody checks.
      request: request as Requester["request"],
      requestStream: () => {
        throw new Error("nothing of ours is streamed from QStash")
      },
    }
  }
}

/**
 * Asks QStash by its client. Throws `QstashError` only: what the client itself throws at an answer is one that says nothing
 * that we know.
 */
export async function askQstash<T>(
  account: QstashAccount,
  ask: (client: Client) => Promise<T>,
  options: CallOptions = {},
): Promise<T> {
  try {
    return await ask(new OutboundClient(account, options))
  } catch (error) {
    if (error instanceof QstashError) throw error
    throw new QstashError({ retry: true, status: null, reason: "answer_not_understood" })
  }
}

interface Way {
  readonly url: string
  readonly token: string
  readonly timeoutMs: number
}

async function callOnce(send: QstashFetch, { url, token, timeoutMs }: Way, request: QstashRequest): Promise<unknown> {
  // The package writes `Headers`; its type for them is that of Node's own fetch.
  const headers = new Headers(request.headers as Headers)
  headers.set("authorization", `Bearer ${token}`)
  if (!headers.has("content-type")) headers.set("content-type", "application/json")
  try {
    const response = await send(`${url}/${request.path.join("/")}${queryOf(request)}`, {
      method: request.method ?? "GET",
      headers,
      ...(request.body !== undefined && { body: request.body }),
      signal: AbortSignal.timeout(timeoutMs),
    })
    if (!response.ok) {
      await response.body?.cancel()
      throw refusal(response.status)
    }
    const text = await response.text()
    return request.parseResponseAsJson === false ? undefined : readJson(text)
  } catch (error) {
    if (error instanceof QstashError) throw error
    const notSent = notSentOf(error)
    if (notSent !== null) throw new QstashError({ retry: true, status: null, reason: notSent.reason })
    const isTimeout = error instanceof Error && error.name === "TimeoutError"
    throw new QstashError({ retry: true, status: null, reason: isTimeout ? "timeout" : "unreachable" })
  }
}

function queryOf({ query = {} }: QstashRequest): string {
  const parameters = new URLSearchParams(
    Object.entries(query).flatMap(([name, value]) =>
      value === undefined ? [] : [value].flat().map((one) => [name, String(one)]),
    ),
  )
  return parameters.size === 0 ? "" : `?${parameters}`
}

/** A header takes printable ASCII; anything else is our mistake, and trying again would repeat it. */
export function headerValue(text: string): string {
  if (!/^[\x20-\x7e]{1,500}$/.test(text))
    throw new QstashError({ retry: false, status: null, reason: "header_not_ascii" })
  return text
}

/** The message may have been accepted; with the same deduplication id it is safe to ask again. */
export function isAccepted<T>(schema: z.ZodType<T>, answer: unknown): T {
  const parsed = schema.safeParse(answer)
  if (!parsed.success) throw new QstashError({ retry: true, status: null, reason: "answer_not_understood" })
  return parsed.data
}

/** Too many requests, a conflict in time and the other side's faults pass; every other refusal stays. */
const refusal = (status: number): QstashError =>
  new QstashError({ retry: status === 408 || status === 429 || status >= 500, status, reason: "refused" })

function readJson(text: string): unknown {
  try {
    return text === "" ? null : JSON.parse(text)
  } catch {
    return undefined // `understood` refuses it where an answer is needed
  }
}
