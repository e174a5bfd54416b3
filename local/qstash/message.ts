import { isLoopbackUrl } from "../loopback.ts"
import { ExpressionError, evaluateRetryDelayMs, parseGoDurationMs } from "./retry-delay.ts"

/** A message as requested by its sender, before it has an id. */
export type MessageSpec = {
  readonly url: string
  readonly method: string
  /** Headers of the delivery, by lower-case name. */
  readonly headers: Readonly<Record<string, string>>
  readonly bodyBase64: string
  readonly maxRetries: number
  readonly retryDelayExpression: string | null
  readonly timeoutMs: number
  readonly delayMs: number
  /** Unix milliseconds; takes precedence over the delay. */
  readonly notBeforeMs: number | null
  readonly deduplicationId: string | null
  readonly callback: CallbackSpec | null
  readonly failureCallback: CallbackSpec | null
  readonly flowControlKey: string | null
  readonly parallelism: number | null
  readonly queueName: string | null
  readonly scheduleId: string | null
  readonly label: string | null
}

/** Where and how the result of a message is sent. */
export type CallbackSpec = {
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly maxRetries: number
  readonly retryDelayExpression: string | null
  readonly timeoutMs: number
  readonly delayMs: number
}

/** An accepted message. */
export type Message = MessageSpec & {
  readonly messageId: string
  /** Order of acceptance; queues deliver by it. */
  readonly sequence: number
  readonly createdAtMs: number
  /** When it is delivered next. */
  readonly dueAtMs: number
  /** Retries made so far. */
  readonly retried: number
}

/** A dead letter, with the last answer. */
export type DeadLetter = Message & {
  readonly dlqId: string
  /** 0 when there was no answer. */
  readonly responseStatus: number
  readonly responseHeaders: Readonly<Record<string, readonly string[]>>
  readonly responseBodyBase64: string
}

/** The request cannot be accepted; answered 400 with this message. */
export class BadRequest extends Error {}

/** QStash allows a delay of at most a year, on its largest plan. */
const DELAY_MS_MAX = 366 * 24 * 60 * 60 * 1_000
const DEFAULT_RETRIES = 3
/** The local default; the sender may set another one. */
const DEFAULT_TIMEOUT_MS = 30_000

/** Parses the `Upstash-*` headers of a publish, enqueue or schedule request. Throws `BadRequest`. */
export function readSpec({
  destination,
  headers,
  body,
  queueName = null,
}: {
  readonly destination: string
  readonly headers: Headers
  readonly body: Buffer
  readonly queueName?: string | null
}): MessageSpec {
  const notBefore = headers.get("upstash-not-before")
  if (notBefore !== null && !/^\d+$/.test(notBefore)) throw new BadRequest(`invalid Upstash-Not-Before "${notBefore}"`)
  return {
    ...readTarget(destination, "", headers),
    bodyBase64: body.toString("base64"),
    notBeforeMs: notBefore === null ? null : Number(notBefore) * 1_000,
    deduplicationId: headers.get("upstash-deduplication-id"),
    callback: readCallback("callback", headers),
    failureCallback: readCallback("failure-callback", headers),
    ...readFlowControl(headers),
    queueName: queueName ?? headers.get("upstash-queue-name"),
    scheduleId: null,
    label: headers.get("upstash-label"),
  }
}

function readCallback(kind: "callback" | "failure-callback", headers: Headers): CallbackSpec | null {
  const url = headers.get(`upstash-${kind}`)
  if (url === null) return null
  const spec = readTarget(url, `${kind}-`, headers)
  return { ...spec, headers: { ...spec.headers, "content-type": "application/json" } }
}

/** The options of a message or of one of its callbacks, whose headers have a prefix. */
function readTarget(destination: string, prefix: string, headers: Headers): CallbackSpec {
  const option = (name: string): string | null => headers.get(`upstash-${prefix}${name}`)
  const delay = option("delay")
  const delayMs = delay === null ? 0 : durationOf("Delay", delay)
  if (delayMs > DELAY_MS_MAX) throw new BadRequest(`delay "${delay}" is longer than a year`)
  const timeout = option("timeout")
  const retries = option("retries")
  if (retries !== null && !/^\d{1,2}$/.test(retries)) throw new BadRequest(`invalid Upstash-Retries "${retries}"`)
  const maxRetries = retries === null ? DEFAULT_RETRIES : Number(retries)
  return {
    url: destinationOf(destination),
    method: (option("method") ?? "POST").toUpperCase(),
    headers: forwardedHeaders(prefix, headers),
    maxRetries,
    retryDelayExpression: checkedExpression(option("retry-delay"), maxRetries),
    timeoutMs: timeout === null ? DEFAULT_TIMEOUT_MS : durationOf("Timeout", timeout),
    delayMs,
  }
}

/** A destination is used unchanged: receivers compare it with the signature's subject. */
function destinationOf(text: string): string {
  if (!/^https?:\/\//.test(text)) throw new BadRequest(`invalid destination url: ${text || "(empty)"}`)
  if (!URL.canParse(text)) throw new BadRequest(`invalid destination url: ${text}`)
  if (!isLoopbackUrl(new URL(text))) throw new BadRequest("destination is not on this machine; no other host is called")
  return text
}

function forwardedHeaders(prefix: string, headers: Headers): Record<string, string> {
  const start = `upstash-${prefix}forward-`
  const forwarded: Record<string, string> = {}
  const contentType = headers.get("content-type")
  if (contentType !== null) forwarded["content-type"] = contentType
  for (const [name, value] of headers) if (name.startsWith(start)) forwarded[name.slice(start.length)] = value
  return forwarded
}

function durationOf(name: string, text: string): number {
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : parseGoDurationMs(text)
  if (ms === null) throw new BadRequest(`invalid Upstash-${name} "${text}"`)
  return ms
}

/** Evaluates the delay of every retry now, so that none can fail later. */
function checkedExpression(expression: string | null, maxRetries: number): string | null {
  if (expression === null) return null
  try {
    for (let retried = 0; retried <= maxRetries; retried += 1) evaluateRetryDelayMs(expression, retried)
    return expression
  } catch (cause) {
    if (cause instanceof ExpressionError) throw new BadRequest(cause.message, { cause })
    throw cause
  }
}

function readFlowControl(headers: Headers): Pick<MessageSpec, "flowControlKey" | "parallelism"> {
  const key = headers.get("upstash-flow-control-key")
  const value = headers.get("upstash-flow-control-value")
  if (key === null) return { flowControlKey: null, parallelism: null }
  if (
    value === null ||
    !/^\s*(parallelism|rate|period)\s*=\s*\w+(\s*,\s*(parallelism|rate|period)\s*=\s*\w+)*\s*$/.test(value)
  ) {
    throw new BadRequest(`invalid Upstash-Flow-Control-Value "${value ?? ""}"`)
  }
  const parallelism = /parallelism\s*=\s*(\d+)/.exec(value)?.[1]
  return { flowControlKey: key, parallelism: parallelism === undefined ? null : Number(parallelism) }
}
