import type { VirtualClock } from "../time/clock.ts"
import type { DeadLetter, Message, MessageSpec } from "./message.ts"
import type { Schedule } from "./state.ts"

/** A waiting message in QStash's form. */
export function messageView(message: Message): Record<string, unknown> {
  return {
    messageId: message.messageId,
    ...specView(message),
    maxRetries: message.maxRetries,
    retried: message.retried,
    notBefore: message.dueAtMs,
    createdAt: message.createdAtMs,
    url: message.url,
    ...(message.scheduleId === null ? {} : { scheduleId: message.scheduleId }),
  }
}

/** A dead letter in QStash's form. */
export function deadView(dead: DeadLetter): Record<string, unknown> {
  return {
    ...messageView(dead),
    dlqId: dead.dlqId,
    responseStatus: dead.responseStatus,
    responseHeader: dead.responseHeaders,
    ...textOrBase64("responseBody", dead.responseBodyBase64),
  }
}

/** A schedule in QStash's form. */
export function scheduleView(schedule: Schedule, clock: VirtualClock): Record<string, unknown> {
  return {
    scheduleId: schedule.scheduleId,
    cron: schedule.cron,
    createdAt: schedule.createdAtMs,
    destination: schedule.spec.url,
    ...specView(schedule.spec),
    retries: schedule.spec.maxRetries,
    delay: schedule.spec.delayMs / 1_000,
    isPaused: schedule.isPaused,
    ...(schedule.lastAtMs === null ? {} : { lastScheduleTime: schedule.lastAtMs }),
    nextScheduleTime: Math.max(schedule.nextAtMs, clock.now().getTime()),
  }
}

function specView(spec: MessageSpec): Record<string, unknown> {
  return {
    method: spec.method,
    header: Object.fromEntries(Object.entries(spec.headers).map(([name, value]) => [name, [value]])),
    ...textOrBase64("body", spec.bodyBase64),
    ...optional("retryDelayExpression", spec.retryDelayExpression),
    ...optional("callback", spec.callback?.url ?? null),
    ...optional("failureCallback", spec.failureCallback?.url ?? null),
    ...optional("queueName", spec.queueName),
    ...optional("flowControlKey", spec.flowControlKey),
    ...optional("parallelism", spec.parallelism),
    ...(spec.label === null ? {} : { label: spec.label.split(",")[0], labels: spec.label.split(",") }),
    callerIP: "127.0.0.1",
  }
}

const optional = (name: string, value: unknown): Record<string, unknown> => (value === null ? {} : { [name]: value })

/** Text unchanged; bytes that are not UTF-8 as base64 under another name. */
function textOrBase64(name: string, base64: string): Record<string, string> {
  const bytes = Buffer.from(base64, "base64")
  const text = bytes.toString("utf8")
  return Buffer.from(text).equals(bytes) ? { [name]: text } : { [`${name}Base64`]: base64 }
}

/** Whether a message matches the filters of a bulk request: any value of each filter. */
export function matchesFilter(message: Message | DeadLetter, query: URLSearchParams): boolean {
  const fields: Record<string, string | number | null> = {
    messageId: message.messageId,
    url: message.url,
    label: message.label,
    flowControlKey: message.flowControlKey,
    queueName: message.queueName,
    scheduleId: message.scheduleId,
    responseStatus: "responseStatus" in message ? message.responseStatus : null,
  }
  return Object.entries(fields).every(([name, value]) => {
    const wanted = query.getAll(name)
    if (wanted.length === 0) return true
    const values = name === "label" ? String(value ?? "").split(",") : [String(value)]
    return wanted.some((one) => values.includes(one))
  })
}
