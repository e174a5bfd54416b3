/** Sends webhooks like the providers: signed when sent, retried after temporary refusals, and sometimes repeated. */
import { createHmac } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import type { DemoCompany } from "../companies.ts"
import { request, worldNow } from "../http.ts"
import type { Random } from "../random.ts"
import { type ScheduledEvent, secondsOf } from "./event-builder.ts"

/** Concurrent requests, over all members. */
const CONCURRENCY = 8
const ATTEMPTS_MAX = 6
/** Providers wait longer, which would slow down the demo. */
const WAIT_MS_MAX = 2_000

const DUPLICATE_SHARE = 0.08
const OUT_OF_ORDER_SHARE = 0.2
const DELAYED_SHARE = 0.02

export interface EventSender {
  /** The number of HTTP requests with webhooks. */
  readonly deliveries: () => number
  /** Unexpected answers, one sentence each. */
  readonly unexpected: string[]
  /** Ids of events that were answered as new twice: valid while Postgres is unavailable, if one event is stored. */
  readonly acceptedTwice: ReadonlySet<string>
  /** Sends the events of a day, some of them a day late unless `isLastDay`. */
  send(events: readonly ScheduledEvent[], isLastDay: boolean): Promise<void>
}

/** A company's providers. Their reliability depends on the seed, within what they guarantee. */
export function createEventSender({ endpoint, world }: DemoCompany, random: Random): EventSender {
  const unexpected: string[] = []
  const accepted = new Set<string>()
  const acceptedTwice = new Set<string>()
  const gate = createGate(CONCURRENCY)
  let count = 0
  let aheadMs = 0
  let delayed: readonly ScheduledEvent[] = []

  async function deliver(event: ScheduledEvent): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      count += 1
      const response = await gate(() => post(endpoint(event.provider), event, new Date(Date.now() + aheadMs))).catch(
        () => null,
      )
      if (response?.status === 200) return read(event, response)
      const isRefusedForNow = response === null || response.status === 503 || response.status === 429
      if (!isRefusedForNow || attempt === ATTEMPTS_MAX) {
        unexpected.push(`${event.provider} ${event.type} was answered ${response?.status ?? "not at all"}`)
        return
      }
      const askedMs = Number(response?.headers["retry-after"] ?? 0) * 1_000
      await sleep(Math.min(WAIT_MS_MAX, Math.max(askedMs, 100 * 2 ** attempt)))
    }
  }

  function read(event: ScheduledEvent, { body }: Answer): void {
    if (!/"received":true/.test(body))
      unexpected.push(`${event.provider} ${event.type} was answered 200 without receipt`)
    if (!/"duplicate":false/.test(body)) return
    if (accepted.has(event.id)) acceptedTwice.add(event.id)
    accepted.add(event.id)
  }

  return {
    deliveries: () => count,
    unexpected,
    acceptedTwice,
    async send(events, isLastDay) {
      aheadMs = (await worldNow(world)).getTime() - Date.now()
      const held = new Set(isLastDay ? [] : events.filter(() => random.chance(DELAYED_SHARE)))
      const today = [...delayed, ...events.filter((event) => !held.has(event))]
      delayed = [...held]
      // All random numbers are drawn here, in a fixed order: below, the order depends on the answers.
      const plans = [...Map.groupBy(today, ({ about }) => about).values()].map((chain) => planChain(chain, random))
      await Promise.all(
        plans.map(async (plan) => {
          for (const { event, copies } of plan) await Promise.all(Array.from({ length: copies }, () => deliver(event)))
        }),
      )
    },
  }
}

interface Sending {
  readonly event: ScheduledEvent
  /** Several copies are sent at the same time. */
  readonly copies: number
}

/** The events of one customer, most of them in order and most of them once. */
function planChain(chain: readonly ScheduledEvent[], random: Random): Sending[] {
  const inOrder = chain
    .map((event) => ({
      event,
      key: event.at.getTime() + (random.chance(OUT_OF_ORDER_SHARE) ? random.int(1, 7_200) * 1_000 : 0),
    }))
    .sort((a, b) => Number(a.event.isLate ?? false) - Number(b.event.isLate ?? false) || a.key - b.key)
  const again: Sending[] = []
  const first = inOrder.map(({ event }) => {
    if (!random.chance(DUPLICATE_SHARE)) return { event, copies: 1 }
    const copies = random.int(2, 3)
    if (random.chance(0.5)) return { event, copies }
    for (let copy = 1; copy < copies; copy += 1) again.push({ event, copies: 1 })
    return { event, copies: 1 }
  })
  return [...first, ...again]
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

async function post(
  { url, secret }: ReturnType<DemoCompany["endpoint"]>,
  { provider, id, body }: ScheduledEvent,
  now: Date,
): Promise<Answer> {
  const timestamp = String(secondsOf(now))
  const signed = provider === "stripe" ? signStripe(secret, timestamp, body) : signWhop(secret, id, timestamp, body)
  const response = await request(url, {
    method: "POST",
    body,
    headers: { "content-type": "application/json", ...signed },
  })
  return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() }
}

/** With the whole secret as the key, including `whsec_`. */
function signStripe(secret: string, timestamp: string, body: string): Record<string, string> {
  const signature = createHmac("sha256", secret).update(`${timestamp}.${body}`).digest("hex")
  return { "stripe-signature": `t=${timestamp},v1=${signature}` }
}

/** Standard Webhooks, with the text of the secret as the key, as Whop's SDK verifies it. */
function signWhop(secret: string, id: string, timestamp: string, body: string): Record<string, string> {
  const signature = createHmac("sha256", secret).update(`${id}.${timestamp}.${body}`).digest("base64")
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` }
}

/** Limits concurrent work to `width`; the rest waits in order. */
function createGate(width: number) {
  const waiting: (() => void)[] = []
  let inside = 0
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (inside >= width) await new Promise<void>((enter) => waiting.push(enter))
    else inside += 1
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else inside -= 1
    }
  }
}
