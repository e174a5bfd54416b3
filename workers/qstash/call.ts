/** One call to QStash: bounded in time, and no error of it carries a body. */
import type { z } from "zod"
import { notSentOf } from "../outbound/outbound-fetch.ts"

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
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly timeoutMs?: number
  readonly isPastBreaker?: boolean
}

/** Makes calls to one account. They answer what was read as JSON, and throw `QstashError`. */
export function qstashCaller({
  url,
  token,
  fetch: send = (input, init) => fetch(input, init),
  fetchPastBreaker = send,
}: QstashAccount) {
  return async (method: string, path: string, options: CallOptions = {}): Promise<unknown> => {
    const { headers = {}, body, timeoutMs = CALL_TIMEOUT_MS, isPastBreaker = false } = options
    try {
      const response = await (isPastBreaker ? fetchPastBreaker : send)(`${url}${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json", ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(timeoutMs),
      })
      if (!response.ok) {
        await response.body?.cancel()
        throw refusal(response.status)
      }
      return readJson(await response.text())
    } catch (error) {
      if (error instanceof QstashError) throw error
      const notSent = notSentOf(error)
      if (notSent !== null) throw new QstashError({ retry: true, status: null, reason: notSent.reason })
      const isTimeout = error instanceof Error && error.name === "TimeoutError"
      throw new QstashError({ retry: true, status: null, reason: isTimeout ? "timeout" : "unreachable" })
    }
  }
}

/** A header takes printable ASCII; anything else is our mistake, and trying again would repeat it. */
export function headerValue(text: string): string {
  if (!/^[\x20-\x7e]{1,500}$/.test(text))
    throw new QstashError({ retry: false, status: null, reason: "header_not_ascii" })
  return text
}

/** The message may have been accepted; with the same deduplication id it is safe to ask again. */
export function understood<T>(schema: z.ZodType<T>, answer: unknown): T {
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
