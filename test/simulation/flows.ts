/** What the Worker does from beginning to end, one thing at a time: what is struck by crashes, and what each guard is for. */
import type { CompanySettings, PlaybookStep } from "../../shared/domain/settings.ts"
import { plainAnswer } from "./world/faults.ts"
import type { Crashes } from "./world/no-faults.ts"
import type { Effect } from "./world/runtime.ts"
import { setSwitchEverywhere } from "./world/switches.ts"
import { COMPANIES, secret } from "./world/targets.ts"
import type { World } from "./world/world.ts"

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** A flow under way. */
export interface FlowRun {
  readonly world: World
  readonly chaos: Crashes
  /** Sends the next event of the story. */
  next(): void
  /** Lets so much time pass. */
  pass(ms: number): Promise<void>
  /** What happens in here is where the crashes strike. */
  strike(work: () => Promise<void>): Promise<void>
  ask(method: string, path: string, body?: string, headers?: Readonly<Record<string, string>>): void
  link(kind: "r" | "unsubscribe"): string
  /** Switches messages off for so long, as an operator does. */
  silence(ms: number): void
}

export interface Flow {
  readonly name: string
  readonly story: string
  readonly settings?: Partial<CompanySettings>
  readonly arePairsPlayed?: boolean
  /** What must have happened where nothing went wrong: a flow that does nothing would pass every crash. */
  isPlayed(world: World, words: string): boolean
  play(scene: FlowRun): Promise<void>
}

const steps = (incentive: PlaybookStep["incentive"]): Partial<CompanySettings> => {
  const all: PlaybookStep[] = [0, 2].map((day) => ({ day, channel: null, incentive: day === 0 ? incentive : null }))
  return { playbooks: { payment: all, cancellation: all, at_risk: all } }
}

const OPEN = '"status":"open"'
const RECOVERED = '"status":"recovered"'

const one = ({ mailbox }: World): boolean => mailbox.messages.length === 1
const discountsOf = (subscription: Readonly<Record<string, unknown>> | undefined): number =>
  Array.isArray(subscription?.discounts) ? subscription.discounts.length : 0

const PAID = "a renewal fails and is paid"

/** As an operator starts a job. */
const JOB = { authorization: `Bearer ${secret("admin-api-key")}`, "content-type": "application/json" }

export const FLOWS: readonly Flow[] = [
  {
    name: "a webhook opens a case",
    isPlayed: (_, words) => words.includes(OPEN),
    story: PAID,
    async play({ strike, next, pass }) {
      await strike(async () => {
        next()
        await pass(2 * SECOND_MS)
      })
    },
  },
  {
    name: "a nudge is sent",
    isPlayed: one,
    story: PAID,
    arePairsPlayed: true,
    async play({ strike, next, pass }) {
      next()
      await pass(2 * SECOND_MS)
      await strike(() => pass(20 * MINUTE_MS))
    },
  },
  {
    name: "a nudge that QStash never brings",
    isPlayed: one,
    story: PAID,
    async play({ strike, next, pass, chaos }) {
      chaos.away.add("qstash")
      next()
      await pass(2 * SECOND_MS)
      await strike(() => pass(10 * MINUTE_MS))
    },
  },
  {
    name: "a nudge of the second day is dispatched",
    isPlayed: ({ mailbox }) => mailbox.messages.length === 2,
    story: PAID,
    settings: steps(null),
    async play({ strike, next, pass }) {
      next()
      await pass(2 * DAY_MS - MINUTE_MS)
      await strike(() => pass(15 * MINUTE_MS))
    },
  },
  {
    name: "a nudge with a discount",
    isPlayed: ({ stripe, mailbox }) =>
      mailbox.messages.length === 1 && discountsOf(stripe.objects.get("subscriptions", "sub_n0x")) === 1,
    story: PAID,
    settings: steps({ kind: "discount", percentOff: 20, months: 2 }),
    async play({ strike, next, pass }) {
      next()
      await pass(2 * SECOND_MS)
      await strike(() => pass(20 * MINUTE_MS))
    },
  },
  {
    name: "a nudge with free days at Whop",
    isPlayed: ({ mailbox }) =>
      mailbox.messages.length === 1 && mailbox.calls.filter(({ path }) => path.endsWith("/add_free_days")).length === 1,
    story: "a payment fails and is made",
    settings: { ...steps({ kind: "free_days", days: 7 }), channelOrder: ["dm", "push", "email"] },
    async play({ strike, next, pass }) {
      await strike(async () => {
        next()
        await pass(20 * MINUTE_MS)
      })
    },
  },
  {
    name: "a payment closes the case",
    isPlayed: (world, words) => one(world) && words.includes(RECOVERED),
    story: PAID,
    async play({ strike, next, pass }) {
      next()
      await pass(HOUR_MS)
      await strike(async () => {
        next()
        await pass(2 * SECOND_MS)
      })
      // The nudge of the second day has nothing to say any more.
      await pass(2 * DAY_MS)
    },
  },
  {
    name: "a delivery parked in QStash comes back",
    isPlayed: (_, words) => words.includes(OPEN),
    story: PAID,
    async play({ strike, next, pass, chaos }) {
      chaos.away.add("postgres")
      next()
      await pass(4 * SECOND_MS)
      chaos.away.clear()
      await strike(() => pass(MINUTE_MS))
    },
  },
  {
    name: "a delivery parked in Redis comes back",
    isPlayed: (_, words) => words.includes(OPEN),
    story: PAID,
    async play({ strike, next, pass, chaos }) {
      chaos.away.add("postgres").add("qstash")
      next()
      await pass(8 * SECOND_MS)
      chaos.away.clear()
      await strike(() => pass(70 * SECOND_MS))
    },
  },
  {
    name: "the sweeper finishes what was left behind",
    isPlayed: (_, words) => words.includes(OPEN),
    story: PAID,
    async play({ world, strike, next, pass }) {
      next()
      // The answer is out and the rest of the work is not done: then the isolate is gone.
      while (world.queries.length === 0) await pass(1)
      for (const isolate of [...world.runtime.isolates]) world.runtime.crash(isolate, "for this flow")
      await strike(() => pass(150 * SECOND_MS))
    },
  },
  {
    name: "held events are drained",
    isPlayed: (_, words) => words.includes(OPEN),
    story: PAID,
    async play({ world, strike, next, pass }) {
      await setSwitchEverywhere(world, "WEBHOOK_PROCESSING_ENABLED", false)
      next()
      await pass(10 * MINUTE_MS)
      await setSwitchEverywhere(world, "WEBHOOK_PROCESSING_ENABLED", true)
      await strike(() => pass(5 * MINUTE_MS))
    },
  },
  {
    name: "a charge finds its customer through the provider's API",
    isPlayed: (_, words) => words.includes('"status":"reversed"'),
    story: "a chargeback on a charge that nobody ties to its invoice",
    async play({ world, strike, next, pass }) {
      world.stripe.objects.put("charges", {
        id: "ch_n0x_1",
        object: "charge",
        customer: "cus_n0x",
        invoice: "in_n0x_1",
      })
      for (let told = 0; told < 3; told++) next()
      await pass(5 * MINUTE_MS)
      await strike(() => pass(20 * MINUTE_MS))
    },
  },
  {
    name: "an operator replays an event",
    isPlayed: (world, words) => one(world) && words.includes(OPEN),
    story: PAID,
    async play({ world, strike, next, pass, ask }) {
      next()
      await pass(HOUR_MS)
      const [event] = await world.database.see<{ id: string }>("SELECT id FROM webhook_events")
      await strike(async () => {
        ask("POST", `/api/events/${event?.id}/replay`)
        await pass(5 * SECOND_MS)
      })
    },
  },
  {
    name: "a member says stop",
    isPlayed: one,
    story: PAID,
    async play({ strike, next, pass, ask, link }) {
      next()
      await pass(HOUR_MS)
      await strike(async () => {
        ask("POST", link("unsubscribe"), "List-Unsubscribe=One-Click")
        await pass(5 * SECOND_MS)
      })
      await pass(2 * DAY_MS)
    },
  },
  {
    name: "a member follows the link",
    isPlayed: one,
    story: PAID,
    async play({ strike, next, pass, ask, link }) {
      next()
      await pass(HOUR_MS)
      await strike(async () => {
        ask("GET", link("r"))
        await pass(10 * SECOND_MS)
      })
    },
  },
  {
    name: "a person sends a nudge",
    isPlayed: ({ mailbox }) => mailbox.messages.length === 2,
    story: PAID,
    async play({ strike, next, pass, ask }) {
      next()
      await pass(DAY_MS)
      await strike(async () => {
        const headers = { "content-type": "application/json", "idempotency-key": "simulated" }
        ask("POST", "/api/cases/payment_in_n0x_1/nudge", "{}", headers)
        await pass(5 * MINUTE_MS)
      })
    },
  },
  {
    name: "a case is held out",
    isPlayed: ({ mailbox }, words) => mailbox.messages.length === 0 && words.includes(OPEN),
    story: "a payment fails and is made",
    settings: {
      ...steps({ kind: "free_days", days: 7 }),
      channelOrder: ["dm"],
      alertTeam: true,
      holdoutPercentage: 50,
    },
    async play({ strike, next, pass, ask }) {
      await strike(async () => {
        next()
        await pass(20 * MINUTE_MS)
      })
      const headers = { "content-type": "application/json", "idempotency-key": "simulated" }
      ask("POST", "/api/cases/payment_pay_n0x/nudge", "{}", headers)
      await pass(2 * DAY_MS)
    },
  },
  {
    name: "a nudge is brought twice at once",
    isPlayed: ({ mailbox }) => mailbox.messages.length === 2,
    story: PAID,
    async play({ world, next, pass, ask, strike }) {
      next()
      await pass(10 * MINUTE_MS)
      // The nudge of the second day: handed over twice in the millisecond in which it falls due.
      await pass(2 * DAY_MS - 20 * MINUTE_MS)
      const [nudge] = await world.database.see<{ id: string; due: string }>(
        "SELECT id, due_at AS due FROM nudges WHERE step = 2",
      )
      await pass(new Date(nudge?.due ?? 0).getTime() - world.runtime.worldMs)
      const body = JSON.stringify({ companyId: COMPANIES[0], nudgeIds: [nudge?.id], owner: null })
      await strike(async () => {
        // At once, and again while the first is on its way.
        for (const afterMs of [0, 25, 10, 10, 10 * SECOND_MS]) {
          ask("POST", "/jobs/nudges", body, JOB)
          await pass(afterMs)
        }
      })
    },
  },
  {
    name: "nothing can be stored anywhere",
    isPlayed: one,
    story: PAID,
    async play({ chaos, next, pass, strike }) {
      chaos.away.add("postgres").add("qstash").add("redis")
      await strike(async () => {
        next()
        await pass(30 * SECOND_MS)
      })
      chaos.away.clear()
      await pass(10 * MINUTE_MS)
    },
  },
  {
    name: "a parked delivery that QStash gives up",
    isPlayed: (_, words) => words.includes(OPEN),
    story: PAID,
    async play({ chaos, next, pass, strike }) {
      chaos.away.add("postgres")
      next()
      await pass(5 * MINUTE_MS)
      chaos.away.clear()
      await strike(() => pass(40 * MINUTE_MS))
    },
  },
  {
    name: "a stolen card",
    isPlayed: ({ mailbox }, words) => mailbox.messages.length === 0 && words.includes(OPEN),
    story: "the card was stolen",
    async play({ next, pass, strike }) {
      await strike(async () => {
        next()
        next()
        await pass(20 * MINUTE_MS)
      })
    },
  },
  {
    name: "an outage of a channel ends at night",
    isPlayed: one,
    story: "a payment fails and is made",
    // It is seven in the evening in Tokyo when the payment fails.
    settings: { ...steps(null), timeZone: "Asia/Tokyo", channelOrder: ["dm"] },
    async play({ chaos, next, pass, strike }) {
      chaos.away.add("dm")
      next()
      await pass(150 * MINUTE_MS)
      chaos.away.clear()
      await strike(() => pass(2 * HOUR_MS))
      await pass(12 * HOUR_MS)
    },
  },
  {
    name: "messages are switched off for two days",
    isPlayed: one,
    story: PAID,
    async play({ next, pass, silence }) {
      silence(53 * HOUR_MS)
      next()
      await pass(54 * HOUR_MS)
    },
  },
  {
    name: "three cases at once",
    // One conversation: the message of the older bill speaks for all three.
    isPlayed: ({ mailbox, stripe }) =>
      mailbox.messages.length === 1 && discountsOf(stripe.objects.get("subscriptions", "sub_n0x")) === 1,
    story: "six: two bills and a leaving",
    settings: steps({ kind: "discount", percentOff: 20, months: 2 }),
    async play({ next, pass }) {
      for (let told = 0; told < 3; told++) next()
      await pass(20 * HOUR_MS)
    },
  },
  {
    name: "a discount at two steps",
    isPlayed: ({ mailbox, stripe }) =>
      mailbox.messages.length === 2 && discountsOf(stripe.objects.get("subscriptions", "sub_n0x")) === 1,
    story: PAID,
    settings: {
      playbooks: {
        payment: [0, 2].map((day) => ({
          ...{ day, channel: null },
          incentive: { kind: "discount", percentOff: 20, months: 2 },
        })),
        ...{ cancellation: [], at_risk: [] },
      },
    },
    async play({ next, pass }) {
      next()
      await pass(3 * DAY_MS)
    },
  },
  {
    name: "a person sends one nudge after the other",
    isPlayed: ({ mailbox }) => mailbox.messages.length === 2,
    story: PAID,
    async play({ next, pass, ask }) {
      next()
      await pass(HOUR_MS)
      for (const key of ["first", "second", "third"]) {
        const headers = { "content-type": "application/json", "idempotency-key": key }
        ask("POST", "/api/cases/payment_in_n0x_1/nudge", "{}", headers)
        await pass(5 * MINUTE_MS)
      }
    },
  },
  {
    name: "a discount of which Stripe's answers are lost",
    isPlayed: ({ stripe, mailbox }) =>
      mailbox.messages.length === 1 && discountsOf(stripe.objects.get("subscriptions", "sub_n0x")) === 1,
    story: PAID,
    settings: steps({ kind: "discount", percentOff: 20, months: 2 }),
    async play({ chaos, next, pass }) {
      // Its own package tries a second time under the same key; both are lost.
      const isUpdate = ({ method, url }: Effect) => method === "POST" && url.pathname.startsWith("/v1/subscriptions/")
      chaos.next(isUpdate, { answer: () => "lost" }, 2)
      next()
      await pass(2 * HOUR_MS)
    },
  },
  {
    name: "a channel's gateway errs",
    isPlayed: one,
    story: PAID,
    async play({ chaos, next, pass }) {
      chaos.next(({ url }) => url.pathname === "/v3/mail/send", { answer: () => plainAnswer(502, "bad gateway") })
      next()
      await pass(2 * HOUR_MS)
    },
  },
  {
    name: "a bank debit is under way",
    isPlayed: ({ mailbox }, words) => mailbox.messages.length === 0 && words.includes('"pending":['),
    story: "a bank debit is under way and fails",
    settings: steps(null),
    async play({ strike, next, pass }) {
      next()
      next()
      await strike(() => pass(20 * MINUTE_MS))
      await pass(3 * DAY_MS)
    },
  },
  {
    name: "a bank debit is given up",
    isPlayed: (world, words) => one(world) && !words.includes('"pending":['),
    story: "a bank debit is given up",
    async play({ strike, next, pass }) {
      next()
      next()
      await pass(HOUR_MS)
      await strike(async () => {
        next()
        await pass(20 * MINUTE_MS)
      })
    },
  },
  {
    name: "what a bill asks for changes",
    // What remains of it is what the message names.
    isPlayed: (world, words) =>
      one(world) && words.includes('"remaining_minor":1199') && !!world.mailbox.messages[0]?.body.includes("11.99"),
    story: "what a bill asks for changes",
    async play({ strike, next, pass }) {
      await strike(async () => {
        for (let told = 0; told < 3; told++) next()
        await pass(20 * MINUTE_MS)
      })
    },
  },
  {
    name: "a case of which nothing is heard",
    isPlayed: ({ mailbox }, words) => mailbox.messages.length === 2 && words.includes('"closeReason":"lapsed"'),
    story: PAID,
    settings: steps(null),
    async play({ strike, next, pass, ask }) {
      const lapse = () => ask("POST", "/jobs/interventions", "{}", JOB)
      next()
      await pass(DAY_MS)
      // The job comes every hour, and finds nothing to end before its time.
      lapse()
      await pass(59 * DAY_MS + HOUR_MS)
      await strike(async () => {
        lapse()
        await pass(HOUR_MS)
      })
      lapse()
    },
  },
  {
    name: "late word of a case of which nothing was heard",
    isPlayed: (_, words) => words.includes(OPEN) && !words.includes('"lapsed"'),
    story: "a renewal fails twice and is paid late",
    settings: steps(null),
    async play({ strike, next, pass, ask }) {
      next()
      await pass(60 * DAY_MS + 10 * MINUTE_MS)
      ask("POST", "/jobs/interventions", "{}", JOB)
      await pass(10 * MINUTE_MS)
      // The second failure, of an hour after the first.
      await strike(async () => {
        next()
        await pass(2 * SECOND_MS)
      })
    },
  },
  {
    name: "a payment after nothing was heard for long",
    isPlayed: (_, words) => words.includes(RECOVERED),
    story: PAID,
    settings: steps(null),
    async play({ strike, next, pass, ask }) {
      next()
      await pass(61 * DAY_MS)
      ask("POST", "/jobs/interventions", "{}", JOB)
      await pass(HOUR_MS)
      await strike(async () => {
        next()
        await pass(2 * SECOND_MS)
      })
    },
  },
  {
    name: "a subscription that is told twice in one second",
    isPlayed: ({ mailbox }, words) =>
      words.includes('"fetched":true') && mailbox.calls.some(({ path }) => path === "/v1/subscriptions/sub_n0x"),
    story: "two words on a subscription in one second",
    async play({ strike, next, pass }) {
      next()
      next()
      await strike(() => pass(20 * MINUTE_MS))
    },
  },
  {
    name: "payments and failures of one customer at once",
    isPlayed: (_, words) => words.includes('"kind":"cancellation"'),
    story: "six: told by charge and invoice, paid, disputed, announced",
    async play({ chaos, next, pass }) {
      for (let told = 0; told < 6; told++) {
        // Of the last two, who read first writes last; nothing comes after that could mend it.
        if (told === 4) {
          chaos.next(({ body }) => body.includes("assert_version"), { arrivesAfterMs: 500, answersAfterMs: 501 })
        }
        next()
        await pass(30)
      }
      await pass(10 * MINUTE_MS)
    },
  },
]
