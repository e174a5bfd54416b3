/**
 * What the Worker does, one flow for each thing: the flows run with crashes at every effect, and show what each guard is for.
 * Over 300 lines because it is one list.
 */
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

/** A running flow. */
export interface FlowRun {
  readonly world: World
  readonly injector: Crashes
  /** Sends the next event of the scenario. */
  sendNext(): void
  /** Sends this event of the scenario, or another customer's. */
  send(place: number, tag?: string): void
  /** Advances the clock. */
  advance(ms: number): Promise<void>
  /** Crashes happen within `work` only. */
  withCrashes(work: () => Promise<void>): Promise<void>
  request(method: string, path: string, body?: string, headers?: Readonly<Record<string, string>>): void
  link(kind: "r" | "unsubscribe"): string
  /** Switches messages off for that time, as an operator does. */
  muteMessages(ms: number): void
}

export interface Flow {
  readonly name: string
  readonly scenario: string
  readonly settings?: Partial<CompanySettings>
  readonly hasCrashPairs?: boolean
  /** What must have happened without crashes; a flow that does nothing would survive all of them. */
  isExpected(world: World, description: string): boolean
  run(run: FlowRun): Promise<void>
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

/** Headers with which an operator starts a job. */
const JOB = { authorization: `Bearer ${secret("admin-api-key")}`, "content-type": "application/json" }

/** Until a minute before the nudges of three members are due, which are in one message of QStash. */
async function untilGroup({ send, advance }: FlowRun): Promise<void> {
  for (const tag of ["n0x", "n1x", "n2x"]) send(0, tag)
  await advance(2 * DAY_MS - MINUTE_MS)
}

/** Whether an effect is a commit that gives nudges of two of the members this status. */
const isOfGroup =
  (status: string) =>
  ({ body }: Effect): boolean =>
    ["commit_streams", `status\\":\\"${status}\\"`, "n0x", "n1x"].every((part) => body.includes(part))

export const FLOWS: readonly Flow[] = [
  {
    name: "a webhook opens a case",
    isExpected: (_, description) => description.includes(OPEN),
    scenario: PAID,
    async run({ withCrashes, sendNext, advance }) {
      await withCrashes(async () => {
        sendNext()
        await advance(2 * SECOND_MS)
      })
    },
  },
  {
    name: "a nudge is sent",
    isExpected: one,
    scenario: PAID,
    hasCrashPairs: true,
    async run({ withCrashes, sendNext, advance }) {
      sendNext()
      await advance(2 * SECOND_MS)
      await withCrashes(() => advance(20 * MINUTE_MS))
    },
  },
  {
    name: "a nudge that QStash never brings",
    isExpected: one,
    scenario: PAID,
    async run({ withCrashes, sendNext, advance, injector }) {
      injector.down.add("qstash")
      sendNext()
      await advance(2 * SECOND_MS)
      await withCrashes(() => advance(10 * MINUTE_MS))
    },
  },
  {
    name: "a nudge of the second day is dispatched",
    isExpected: ({ mailbox }) => mailbox.messages.length === 2,
    scenario: PAID,
    settings: steps(null),
    async run({ withCrashes, sendNext, advance }) {
      sendNext()
      await advance(2 * DAY_MS - MINUTE_MS)
      await withCrashes(() => advance(15 * MINUTE_MS))
    },
  },
  {
    name: "nudges of a group are sent",
    isExpected: ({ mailbox }) => mailbox.messages.length === 6,
    scenario: PAID,
    settings: steps(null),
    async run(run) {
      await untilGroup(run)
      await run.withCrashes(() => run.advance(15 * MINUTE_MS))
    },
  },
  ...(["marks", "records"] as const).flatMap((what) =>
    (["is refused", "is lost", "has no answer"] as const).map(
      (how): Flow => ({
        name: `the call that ${what} nudges of a group ${how}`,
        // All within the minute in which they are due, at a full hour, and none is taken for one whose worker was lost.
        isExpected: ({ mailbox: { messages }, queries }) =>
          messages.length === 6 &&
          messages.slice(3).every(({ at }) => Date.parse(at) % HOUR_MS < MINUTE_MS) &&
          !queries.some((call) => call.queries.some(({ params }) => String(params).includes("worker_lost"))),
        scenario: PAID,
        settings: steps(null),
        async run(run) {
          await untilGroup(run)
          const refusal = plainAnswer(400, JSON.stringify({ message: "refused", code: "23514" }))
          run.injector.next(isOfGroup(what === "marks" ? "sending" : "sent"), {
            ...{ arrivesAfterMs: how === "has no answer" ? 5 : null, answersAfterMs: 6 },
            answer: () => (how === "is refused" ? refusal : "lost"),
          })
          await run.advance(15 * MINUTE_MS)
        },
      }),
    ),
  ),
  {
    name: "a member pays while nudges of a group are marked",
    isExpected: ({ mailbox }, description) => mailbox.messages.length === 5 && description.includes(RECOVERED),
    scenario: PAID,
    settings: steps(null),
    async run(run) {
      const { injector, advance, send } = run
      await untilGroup(run)
      injector.next(isOfGroup("sending"), { arrivesAfterMs: 500, answersAfterMs: 501 })
      await advance(MINUTE_MS + SECOND_MS + 150)
      send(1, "n1x")
      await advance(15 * MINUTE_MS)
    },
  },
  {
    name: "a nudge with a discount",
    isExpected: ({ stripe, mailbox }) =>
      mailbox.messages.length === 1 && discountsOf(stripe.objects.get("subscriptions", "sub_n0x")) === 1,
    scenario: PAID,
    settings: steps({ kind: "discount", percentOff: 20, months: 2 }),
    async run({ withCrashes, sendNext, advance }) {
      sendNext()
      await advance(2 * SECOND_MS)
      await withCrashes(() => advance(20 * MINUTE_MS))
    },
  },
  {
    name: "a nudge with free days at Whop",
    isExpected: ({ mailbox }) =>
      mailbox.messages.length === 1 && mailbox.calls.filter(({ path }) => path.endsWith("/add_free_days")).length === 1,
    scenario: "a payment fails and is made",
    settings: { ...steps({ kind: "free_days", days: 7 }), channelOrder: ["dm", "push", "email"] },
    async run({ withCrashes, sendNext, advance }) {
      await withCrashes(async () => {
        sendNext()
        await advance(20 * MINUTE_MS)
      })
    },
  },
  {
    name: "a payment closes the case",
    isExpected: (world, description) => one(world) && description.includes(RECOVERED),
    scenario: PAID,
    async run({ withCrashes, sendNext, advance }) {
      sendNext()
      await advance(HOUR_MS)
      await withCrashes(async () => {
        sendNext()
        await advance(2 * SECOND_MS)
      })
      // The nudge of day 2 must not be sent.
      await advance(2 * DAY_MS)
    },
  },
  {
    name: "a delivery parked in QStash comes back",
    isExpected: (_, description) => description.includes(OPEN),
    scenario: PAID,
    async run({ withCrashes, sendNext, advance, injector }) {
      injector.down.add("postgres")
      sendNext()
      await advance(4 * SECOND_MS)
      injector.down.clear()
      await withCrashes(() => advance(MINUTE_MS))
    },
  },
  {
    name: "a delivery parked in Redis comes back",
    isExpected: (_, description) => description.includes(OPEN),
    scenario: PAID,
    async run({ withCrashes, sendNext, advance, injector }) {
      injector.down.add("postgres").add("qstash")
      sendNext()
      await advance(8 * SECOND_MS)
      injector.down.clear()
      await withCrashes(() => advance(70 * SECOND_MS))
    },
  },
  {
    name: "the sweep finishes what was left behind",
    isExpected: (_, description) => description.includes(OPEN),
    scenario: PAID,
    async run({ world, withCrashes, sendNext, advance }) {
      sendNext()
      // The isolate crashes after the answer, before the rest of the work.
      while (world.queries.length === 0) await advance(1)
      for (const isolate of [...world.runtime.isolates]) world.runtime.crash(isolate, "for this flow")
      await withCrashes(() => advance(150 * SECOND_MS))
    },
  },
  {
    name: "held events are drained",
    isExpected: (_, description) => description.includes(OPEN),
    scenario: PAID,
    async run({ world, withCrashes, sendNext, advance }) {
      await setSwitchEverywhere(world, "WEBHOOK_PROCESSING_ENABLED", false)
      sendNext()
      await advance(10 * MINUTE_MS)
      await setSwitchEverywhere(world, "WEBHOOK_PROCESSING_ENABLED", true)
      await withCrashes(() => advance(5 * MINUTE_MS))
    },
  },
  {
    name: "a charge finds its customer through the provider's API",
    isExpected: (_, description) => description.includes('"status":"reversed"'),
    scenario: "a chargeback on a charge that is not linked to its invoice",
    async run({ world, withCrashes, sendNext, advance }) {
      world.stripe.objects.put("charges", {
        id: "ch_n0x_1",
        object: "charge",
        customer: "cus_n0x",
        invoice: "in_n0x_1",
      })
      for (let webhook = 0; webhook < 3; webhook++) sendNext()
      await advance(5 * MINUTE_MS)
      await withCrashes(() => advance(20 * MINUTE_MS))
    },
  },
  {
    name: "an operator replays an event",
    isExpected: (world, description) => one(world) && description.includes(OPEN),
    scenario: PAID,
    async run({ world, withCrashes, sendNext, advance, request }) {
      sendNext()
      await advance(HOUR_MS)
      const [event] = await world.database.read<{ id: string }>("SELECT id FROM webhook_events")
      await withCrashes(async () => {
        request("POST", `/api/events/${event?.id}/replay`)
        await advance(5 * SECOND_MS)
      })
    },
  },
  {
    name: "a member says stop",
    isExpected: one,
    scenario: PAID,
    async run({ withCrashes, sendNext, advance, request, link }) {
      sendNext()
      await advance(HOUR_MS)
      await withCrashes(async () => {
        request("POST", link("unsubscribe"), "List-Unsubscribe=One-Click")
        await advance(5 * SECOND_MS)
      })
      await advance(2 * DAY_MS)
    },
  },
  {
    name: "a member follows the link",
    isExpected: one,
    scenario: PAID,
    async run({ withCrashes, sendNext, advance, request, link }) {
      sendNext()
      await advance(HOUR_MS)
      await withCrashes(async () => {
        request("GET", link("r"))
        await advance(10 * SECOND_MS)
      })
    },
  },
  {
    name: "a person sends a nudge",
    isExpected: ({ mailbox }) => mailbox.messages.length === 2,
    scenario: PAID,
    async run({ withCrashes, sendNext, advance, request }) {
      sendNext()
      await advance(DAY_MS)
      await withCrashes(async () => {
        const headers = { "content-type": "application/json", "idempotency-key": "simulated" }
        request("POST", "/api/cases/payment_in_n0x_1/nudge", "{}", headers)
        await advance(5 * MINUTE_MS)
      })
    },
  },
  {
    name: "a case is held out",
    isExpected: ({ mailbox }, description) => mailbox.messages.length === 0 && description.includes(OPEN),
    scenario: "a payment fails and is made",
    settings: {
      ...steps({ kind: "free_days", days: 7 }),
      channelOrder: ["dm"],
      alertTeam: true,
      holdoutPercentage: 50,
    },
    async run({ withCrashes, sendNext, advance, request }) {
      await withCrashes(async () => {
        sendNext()
        await advance(20 * MINUTE_MS)
      })
      const headers = { "content-type": "application/json", "idempotency-key": "simulated" }
      request("POST", "/api/cases/payment_pay_n0x/nudge", "{}", headers)
      await advance(2 * DAY_MS)
    },
  },
  {
    name: "a nudge is brought twice at once",
    isExpected: ({ mailbox }) => mailbox.messages.length === 2,
    scenario: PAID,
    async run({ world, sendNext, advance, request, withCrashes }) {
      sendNext()
      await advance(10 * MINUTE_MS)
      // The nudge of day 2 is delivered twice in the millisecond in which it is due.
      await advance(2 * DAY_MS - 20 * MINUTE_MS)
      const [nudge] = await world.database.read<{ id: string; due: string }>(
        "SELECT id, due_at AS due FROM nudges WHERE step = 2",
      )
      await advance(new Date(nudge?.due ?? 0).getTime() - world.runtime.worldMs)
      const body = JSON.stringify({ companyId: COMPANIES[0], nudgeIds: [nudge?.id], owner: null })
      await withCrashes(async () => {
        // At once, and again while the first is being sent.
        for (const afterMs of [0, 25, 10, 10, 10 * SECOND_MS]) {
          request("POST", "/jobs/nudges", body, JOB)
          await advance(afterMs)
        }
      })
    },
  },
  {
    name: "nothing can be stored anywhere",
    isExpected: one,
    scenario: PAID,
    async run({ injector, sendNext, advance, withCrashes }) {
      injector.down.add("postgres").add("qstash").add("redis")
      await withCrashes(async () => {
        sendNext()
        await advance(30 * SECOND_MS)
      })
      injector.down.clear()
      await advance(10 * MINUTE_MS)
    },
  },
  {
    name: "a parked delivery that QStash gives up",
    isExpected: (_, description) => description.includes(OPEN),
    scenario: PAID,
    async run({ injector, sendNext, advance, withCrashes }) {
      injector.down.add("postgres")
      sendNext()
      await advance(5 * MINUTE_MS)
      injector.down.clear()
      await withCrashes(() => advance(40 * MINUTE_MS))
    },
  },
  {
    name: "a stolen card",
    isExpected: ({ mailbox }, description) => mailbox.messages.length === 0 && description.includes(OPEN),
    scenario: "the card was stolen",
    async run({ sendNext, advance, withCrashes }) {
      await withCrashes(async () => {
        sendNext()
        sendNext()
        await advance(20 * MINUTE_MS)
      })
    },
  },
  {
    name: "an outage of a channel ends at night",
    isExpected: one,
    scenario: "a payment fails and is made",
    // The payment fails at 19:00 in Tokyo.
    settings: { ...steps(null), timeZone: "Asia/Tokyo", channelOrder: ["dm"] },
    async run({ injector, sendNext, advance, withCrashes }) {
      injector.down.add("dm")
      sendNext()
      await advance(150 * MINUTE_MS)
      injector.down.clear()
      await withCrashes(() => advance(2 * HOUR_MS))
      await advance(12 * HOUR_MS)
    },
  },
  {
    name: "messages are switched off for two days",
    isExpected: one,
    scenario: PAID,
    async run({ sendNext, advance, muteMessages }) {
      muteMessages(53 * HOUR_MS)
      sendNext()
      await advance(54 * HOUR_MS)
    },
  },
  {
    name: "three cases at once",
    // Per-person limits: the message about the older invoice covers all three.
    isExpected: ({ mailbox, stripe }) =>
      mailbox.messages.length === 1 && discountsOf(stripe.objects.get("subscriptions", "sub_n0x")) === 1,
    scenario: "six: two invoices and a cancellation",
    settings: steps({ kind: "discount", percentOff: 20, months: 2 }),
    async run({ sendNext, advance }) {
      for (let webhook = 0; webhook < 3; webhook++) sendNext()
      await advance(20 * HOUR_MS)
    },
  },
  {
    name: "a discount at two steps",
    isExpected: ({ mailbox, stripe }) =>
      mailbox.messages.length === 2 && discountsOf(stripe.objects.get("subscriptions", "sub_n0x")) === 1,
    scenario: PAID,
    settings: {
      playbooks: {
        payment: [0, 2].map((day) => ({
          ...{ day, channel: null },
          incentive: { kind: "discount", percentOff: 20, months: 2 },
        })),
        ...{ cancellation: [], at_risk: [] },
      },
    },
    async run({ sendNext, advance }) {
      sendNext()
      await advance(3 * DAY_MS)
    },
  },
  {
    name: "a person sends one nudge after the other",
    isExpected: ({ mailbox }) => mailbox.messages.length === 2,
    scenario: PAID,
    async run({ sendNext, advance, request }) {
      sendNext()
      await advance(HOUR_MS)
      for (const key of ["first", "second", "third"]) {
        const headers = { "content-type": "application/json", "idempotency-key": key }
        request("POST", "/api/cases/payment_in_n0x_1/nudge", "{}", headers)
        await advance(5 * MINUTE_MS)
      }
    },
  },
  {
    name: "a discount of which Stripe's answers are lost",
    isExpected: ({ stripe, mailbox }) =>
      mailbox.messages.length === 1 && discountsOf(stripe.objects.get("subscriptions", "sub_n0x")) === 1,
    scenario: PAID,
    settings: steps({ kind: "discount", percentOff: 20, months: 2 }),
    async run({ injector, sendNext, advance }) {
      // Stripe's package retries under the same key; both answers are lost.
      const isUpdate = ({ method, url }: Effect) => method === "POST" && url.pathname.startsWith("/v1/subscriptions/")
      injector.next(isUpdate, { answer: () => "lost" }, 2)
      sendNext()
      await advance(2 * HOUR_MS)
    },
  },
  {
    name: "a channel's gateway errs",
    isExpected: one,
    scenario: PAID,
    async run({ injector, sendNext, advance }) {
      injector.next(({ url }) => url.pathname === "/v3/mail/send", { answer: () => plainAnswer(502, "bad gateway") })
      sendNext()
      await advance(2 * HOUR_MS)
    },
  },
  {
    name: "a bank debit is under way",
    isExpected: ({ mailbox }, description) => mailbox.messages.length === 0 && description.includes('"pending":['),
    scenario: "a bank debit is pending and fails",
    settings: steps(null),
    async run({ withCrashes, sendNext, advance }) {
      sendNext()
      sendNext()
      await withCrashes(() => advance(20 * MINUTE_MS))
      await advance(3 * DAY_MS)
    },
  },
  {
    name: "a bank debit is given up",
    isExpected: (world, description) => one(world) && !description.includes('"pending":['),
    scenario: "a bank debit is canceled",
    async run({ withCrashes, sendNext, advance }) {
      sendNext()
      sendNext()
      await advance(HOUR_MS)
      await withCrashes(async () => {
        sendNext()
        await advance(20 * MINUTE_MS)
      })
    },
  },
  {
    name: "what a bill asks for changes",
    // The message contains the remaining amount.
    isExpected: (world, description) =>
      one(world) &&
      description.includes('"remaining_minor":1199') &&
      !!world.mailbox.messages[0]?.body.includes("11.99"),
    scenario: "the amount of an invoice changes",
    async run({ withCrashes, sendNext, advance }) {
      await withCrashes(async () => {
        for (let webhook = 0; webhook < 3; webhook++) sendNext()
        await advance(20 * MINUTE_MS)
      })
    },
  },
  {
    name: "a payment case without news",
    isExpected: ({ mailbox }, description) =>
      mailbox.messages.length === 2 && description.includes('"closeReason":"lapsed"'),
    scenario: PAID,
    settings: steps(null),
    async run({ withCrashes, sendNext, advance, request }) {
      const lapse = () => request("POST", "/jobs/interventions", "{}", JOB)
      sendNext()
      await advance(DAY_MS)
      // The hourly job closes nothing before 60 days.
      lapse()
      await advance(59 * DAY_MS + HOUR_MS)
      await withCrashes(async () => {
        lapse()
        await advance(HOUR_MS)
      })
      lapse()
    },
  },
  {
    name: "late word of a case of which nothing was heard",
    isExpected: (_, description) => description.includes(OPEN) && !description.includes('"lapsed"'),
    scenario: "a renewal fails twice and is paid late",
    settings: steps(null),
    async run({ withCrashes, sendNext, advance, request }) {
      sendNext()
      await advance(60 * DAY_MS + 10 * MINUTE_MS)
      request("POST", "/jobs/interventions", "{}", JOB)
      await advance(10 * MINUTE_MS)
      // The second failure, an hour after the first.
      await withCrashes(async () => {
        sendNext()
        await advance(2 * SECOND_MS)
      })
    },
  },
  {
    name: "a payment after nothing was heard for long",
    isExpected: (_, description) => description.includes(RECOVERED),
    scenario: PAID,
    settings: steps(null),
    async run({ withCrashes, sendNext, advance, request }) {
      sendNext()
      await advance(61 * DAY_MS)
      request("POST", "/jobs/interventions", "{}", JOB)
      await advance(HOUR_MS)
      await withCrashes(async () => {
        sendNext()
        await advance(2 * SECOND_MS)
      })
    },
  },
  {
    name: "a subscription with two snapshots in one second",
    isExpected: ({ mailbox }, description) =>
      description.includes('"fetched":true') && mailbox.calls.some(({ path }) => path === "/v1/subscriptions/sub_n0x"),
    scenario: "two snapshots of a subscription in one second",
    async run({ withCrashes, sendNext, advance }) {
      sendNext()
      sendNext()
      await withCrashes(() => advance(20 * MINUTE_MS))
    },
  },
  {
    name: "payments and failures of one customer at once",
    isExpected: (_, description) => description.includes('"kind":"cancellation"'),
    scenario: "six: reported by charge and invoice, paid, disputed, cancellation scheduled",
    async run({ injector, sendNext, advance }) {
      for (let webhook = 0; webhook < 6; webhook++) {
        // Of the last two events, the first reader writes last, and no later event repairs it: the second one's commit
        // waits for a second, then it is made beside the first.
        if (webhook === 4) {
          injector.next(({ body }) => body.includes("commit_streams"), { arrivesAfterMs: 1_500, answersAfterMs: 1_501 })
        }
        sendNext()
        await advance(30)
      }
      await advance(10 * MINUTE_MS)
    },
  },
  ...(["refused", "lost"] as const).map(
    (how): Flow => ({
      name: `the call that records a group of events is ${how}`,
      isExpected: ({ trace }, description) =>
        description.includes(RECOVERED) && trace.some((line) => line.includes("/jobs/ingest")) === (how === "lost"),
      scenario: "a renewal fails twice and is paid late",
      async run({ injector, send, sendNext, advance, withCrashes }) {
        sendNext()
        await advance(MINUTE_MS)
        await withCrashes(async () => {
          // Two events wait while another customer's is recorded. Those of a refused call are recorded alone, others wait in
          // QStash.
          injector.next(({ body }) => body.includes("record_deliveries"), { arrivesAfterMs: 300, answersAfterMs: 301 })
          send(0, "n1x")
          await advance(60)
          const refusal = plainAnswer(400, JSON.stringify({ message: "refused", code: "23514" }))
          injector.next(({ body }) => body.includes("record_deliveries") && /evt_n0x_\d\W+evt_n0x_\d/.test(body), {
            ...{ arrivesAfterMs: null, answersAfterMs: 5, answer: () => (how === "refused" ? refusal : "lost") },
          })
          send(1)
          send(2)
          await advance(2 * SECOND_MS)
        })
        await advance(MINUTE_MS)
      },
    }),
  ),
  {
    name: "two events of a customer are committed with one another",
    isExpected: (_, description) => description.includes(RECOVERED),
    scenario: "a renewal fails twice and is paid late",
    async run({ injector, send, advance, withCrashes }) {
      send(1)
      await advance(2 * SECOND_MS)
      await withCrashes(async () => {
        // While another customer's commit is in flight, an event is recorded that belongs before the snapshot, and one after it.
        injector.next(({ body }) => body.includes("commit_streams"), { arrivesAfterMs: 300, answersAfterMs: 301 })
        send(0, "n1x")
        await advance(30)
        send(0)
        await advance(40)
        send(2)
        await advance(2 * SECOND_MS)
      })
    },
  },
]
