/** QStash on the virtual clock: the local replacement's queue, whose messages the simulator delivers when due. */
import type { Attempt, deliver } from "../../../local/qstash/delivery.ts"
import type { Message } from "../../../local/qstash/message.ts"
import type { createRunner, Runner } from "../../../local/qstash/runner.ts"
import { signDelivery } from "../../../local/qstash/sign.ts"
import type { QstashState } from "../../../local/qstash/state.ts"
import type { Call } from "./call.ts"
import type { Answer, Runtime } from "./runtime.ts"

/** Delivers messages with `send`. */
export const deliverer =
  (send: (call: Call) => Promise<Answer | null>): typeof deliver =>
  async (message, { clock, signingKey }): Promise<Attempt> => {
    const body = Buffer.from(message.bodyBase64, "base64")
    const answer = await send({
      name: `qstash ${new URL(message.url).pathname}${message.retried === 0 ? "" : ` retry ${message.retried}`}`,
      method: message.method,
      url: message.url,
      headers: {
        ...message.headers,
        "upstash-message-id": message.messageId,
        "upstash-retried": String(message.retried),
        "upstash-signature": signDelivery({ url: message.url, body, key: signingKey, now: clock.now() }),
      },
      body: new Uint8Array(body),
      timeoutMs: message.timeoutMs,
    })
    if (answer === null) return { status: 0, headers: new Headers(), body: Buffer.alloc(0), error: "no answer" }
    return { status: answer.status, headers: new Headers(answer.headers), body: Buffer.from(answer.body), error: null }
  }

/** Dead letters that must be retried: scheduled runs repeat by themselves, and 489 is the Worker's rejection. */
export const unresolvedDeadLetters = ({ dead }: QstashState): number =>
  [...dead.values()].filter(({ url, responseStatus }) => responseStatus !== 489 && /\/jobs\/(ingest|nudges)$/.test(url))
    .length

/** Starts due messages by the agenda of the run instead of timers. */
export const virtualRunner =
  (runtime: Runtime): typeof createRunner =>
  ({ state, attempt }): Runner => {
    const running = new Map<string, Message>()
    let wakesAtMs: number | null = null

    const underWay = (key?: string): number =>
      key === undefined
        ? running.size
        : [...running.values()].filter(({ flowControlKey }) => flowControlKey === key).length
    const mayStart = ({ flowControlKey, parallelism }: Message): boolean =>
      flowControlKey === null || parallelism === null || underWay(flowControlKey) < parallelism
    const waiting = (): Message[] => [...state.messages.values()].filter(({ messageId }) => !running.has(messageId))

    function fireDue(): void {
      const due = waiting().filter(({ dueAtMs }) => dueAtMs <= runtime.worldMs)
      due.sort((a, b) => a.dueAtMs - b.dueAtMs || a.sequence - b.sequence)
      for (const message of due) {
        if (!mayStart(message)) continue
        running.set(message.messageId, message)
        void attempt(message, NEVER).finally(() => {
          running.delete(message.messageId)
          wake()
        })
      }
    }

    function wake(): void {
      const next = Math.min(
        ...waiting()
          .filter(mayStart)
          .map(({ dueAtMs }) => dueAtMs),
      )
      if (!Number.isFinite(next) || (wakesAtMs !== null && wakesAtMs <= next)) return
      const atMs = Math.max(next, runtime.worldMs)
      wakesAtMs = atMs
      runtime.agenda.put(atMs, "qstash", () => {
        if (wakesAtMs === atMs) wakesAtMs = null
        fireDue()
        wake()
      })
    }

    return {
      release: wake,
      hold: () => undefined,
      wake,
      fireDue,
      idle: async () => undefined,
      nextDueAt: () => null,
      underWay,
      abort: () => undefined,
      stop: async () => undefined,
    }
  }

const NEVER = new AbortController().signal
