/**
 * QStash's own client over our outgoing calls. The client has no time-out, tries six times, and writes bodies to errors
 * and the console. So it only builds the requests, and we send them: one attempt, with a time-out, through the circuit
 * breaker and the invocation's budget, and no error contains a body.
 */
import { Client } from "@upstash/qstash"
import type * as z from "zod"
import { notSentOf } from "../../../shared/network/outbound-fetch.ts"

/** A call to QStash failed. `retry`: the same call, with the same deduplication id, may succeed later. */
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

/** QStash accepts a message within tens of milliseconds; a webhook may be waiting for it. */
const CALL_TIMEOUT_MS = 2_000

type QstashFetch = (input: string, init: RequestInit) => Promise<Response>

/** The address and token of an account; `fetch` defaults to the platform's. */
export interface QstashAccount {
  readonly url: string
  readonly token: string
  readonly fetch?: QstashFetch
  /** Calls QStash even while its breaker is open. */
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
    const fetchOnce = isPastBreaker ? (account.fetchPastBreaker ?? send) : send
    const request = (built: QstashRequest): Promise<unknown> => callOnce(fetchOnce, { url, token, timeoutMs }, built)
    this.http = {
      // Callers parse the answer (`parseAnswer`); the package's type of it is unchecked.
      request: request as Requester["request"],
      requestStream: () => {
        throw new Error("we stream nothing from QStash")
      },
    }
  }
}

/**
 * Calls QStash through its client. Throws only `QstashError`: an error of the client itself means an answer that it
 * could not parse.
 */
export async function callQstash<T>(
  account: QstashAccount,
  call: (client: Client) => Promise<T>,
  options: CallOptions = {},
): Promise<T> {
  try {
    return await call(new OutboundClient(account, options))
  } catch (error) {
    if (error instanceof QstashError) throw error
    throw new QstashError({ retry: true, status: null, reason: "answer_not_understood" })
  }
}

interface CallTarget {
  readonly url: string
  readonly token: string
  readonly timeoutMs: number
}

async function callOnce(
  send: QstashFetch,
  { url, token, timeoutMs }: CallTarget,
  request: QstashRequest,
): Promise<unknown> {
  // The package passes `Headers`, typed as those of Node's own fetch.
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

/** A header takes printable ASCII; anything else is our bug, and a retry would not help. */
export function headerValue(text: string): string {
  if (!/^[\x20-\x7e]{1,500}$/.test(text))
    throw new QstashError({ retry: false, status: null, reason: "header_not_ascii" })
  return text
}

/**
 * The parsed answer. An invalid one may still mean that the message was accepted; with the same deduplication id a
 * retry is safe.
 */
export function parseAnswer<T>(schema: z.ZodType<T>, answer: unknown): T {
  const parsed = schema.safeParse(answer)
  if (!parsed.success) throw new QstashError({ retry: true, status: null, reason: "answer_not_understood" })
  return parsed.data
}

/** Time-outs, rate limits and server errors may pass; every other refusal is permanent. */
const refusal = (status: number): QstashError =>
  new QstashError({ retry: status === 408 || status === 429 || status >= 500, status, reason: "refused" })

function readJson(text: string): unknown {
  try {
    return text === "" ? null : JSON.parse(text)
  } catch {
    return undefined // `parseAnswer` refuses it where an answer is needed
  }
}
