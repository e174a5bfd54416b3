/** The table of contact rules, row by row. Longer than 300 lines, because the table is one. */
import { readFileSync } from "node:fs"
import { describe, expect, test } from "vitest"
import * as make from "../../../../test/support/events/facts.ts"
import { on } from "../../../../test/support/events/facts.ts"
import type { Fact, Instant } from "../../facts.ts"
import { type CompanySettings, DEFAULT_SETTINGS } from "../../settings.ts"
import { rebuild } from "../fold.ts"
import { type ContactContext, type Person, SINGLE_CUSTOMER } from "./contact-context.ts"
import { applyRules, CONTACT_RULES } from "./contact-policy.ts"
import { openBillsOf, totalsByCurrency } from "./conversation.ts"
import { manualNudgeId, type Nudge, nudgeId } from "./nudges.ts"

const PAYMENT = "payment_in_1"
const LEAVING = "cancellation_sub_1_1"
const RISK = "at_risk_sub_1"
const mailed = make.customerSeen({ at: on(0), hasEmail: true })
const failed = make.paymentFailed({ at: on(0) })
const failedToo = make.paymentFailed({ at: on(1), invoiceId: "in_2" })
const announced = make.cancellationAnnounced({ at: on(1) })

function nudge(given: Partial<Nudge> = {}): Nudge {
  const { caseId = PAYMENT, step = 0, channel = "email" } = given
  const id = step === null ? manualNudgeId(caseId, "key", channel) : nudgeId(caseId, step, channel)
  const rest = { status: "planned", reason: null, incentive: null, dueAt: on(0), attempts: 0, sentAt: null } as const
  return { id, caseId, step, channel, ...rest, ...given }
}

const sent = (caseId: string, step: number | null, at: Instant, given: Partial<Nudge> = {}): Nudge =>
  nudge({ caseId, step, status: "sent", dueAt: at, sentAt: at, ...given })

/** Another customer with the same address. */
const shared = (facts: readonly Fact[], nudges: readonly Nudge[] = []): Person => ({
  others: [{ customerId: "stripe_cus_2", state: rebuild(facts), nudges }],
  isOptedOut: false,
})

interface Row {
  readonly facts?: readonly Fact[]
  readonly of?: Partial<Nudge>
  readonly nudges?: readonly Nudge[]
  readonly person?: Person
  readonly settings?: Partial<CompanySettings>
  readonly now?: Instant
}

function contextOf({
  facts = [failed],
  of = {},
  nudges = [],
  person = SINGLE_CUSTOMER,
  settings,
  now = on(0),
}: Row): ContactContext {
  const subject = nudge(of)
  const state = rebuild([mailed, ...facts])
  const recoveryCase = state.cases.find(({ id }) => id === subject.caseId)
  if (!recoveryCase) throw new Error(`the facts open no ${subject.caseId}`)
  return { state, recoveryCase, nudge: subject, nudges, person, settings: { ...DEFAULT_SETTINGS, ...settings }, now }
}

const found = (row: Row) => {
  const applied = applyRules("send", contextOf(row))
  return applied === null ? null : { rule: applied.rule.rule, until: applied.until }
}

/** The same product as `sub_1`, bought and paid after the failure of `sub_1`. */
const BOUGHT = [
  make.subscription("subscription_started", { at: on(0), startedAt: on(-90) }),
  make.subscription("subscription_started", { at: on(2), subscriptionId: "sub_2", startedAt: on(2) }),
  make.paymentSucceeded({ at: on(2), invoiceId: "in_9", subscriptionId: "sub_2" }),
]
/** Announced, taken back and announced again. */
const AGAIN = [
  announced,
  make.subscription("subscription_resumed", { at: on(2) }),
  make.cancellationAnnounced({ at: on(3) }),
]
const heldOut = make.caseAssigned({ at: on(0), caseId: PAYMENT })
const inKolkata = make.customerSeen({ at: on(0), timeZone: "Asia/Kolkata" })
const MONEY = { amountMinor: 2_900, currency: "usd" }

/** Of each rule: situations in which it decides, and the nearest ones in which no rule does. */
const ROWS: Readonly<
  Record<string, { readonly applies: Readonly<Record<string, Row>>; readonly passes: Readonly<Record<string, Row>> }>
> = {
  case_closed: {
    applies: { "the bill is paid": { facts: [failed, make.paymentSucceeded({ at: on(0) })] } },
    passes: { "the bill is open": {} },
  },
  opted_out: {
    applies: {
      "the customer opted out": { facts: [failed, make.optedOut({ at: on(0) })] },
      "another customer with the address opted out": { person: shared([make.optedOut({ at: on(-40) })]) },
      "one of many opted out, who is not listed": { person: { others: [], isOptedOut: true } },
      "a manual nudge": { of: { step: null }, person: { others: [], isOptedOut: true } },
    },
    passes: { "another customer with the address has not opted out": { person: shared([mailed]) } },
  },
  customer_deleted: {
    applies: { "the customer is deleted": { facts: [failed, make.customerSeen({ at: on(0), deleted: true })] } },
    passes: {
      "another customer of the person is": { person: shared([make.customerSeen({ at: on(0), deleted: true })]) },
    },
  },
  silent_decline_code: {
    applies: { "the card was stolen": { facts: [make.paymentFailed({ at: on(0), declineCode: "stolen_card" })] } },
    passes: { "there are no funds": { facts: [make.paymentFailed({ at: on(0), declineCode: "insufficient_funds" })] } },
  },
  other_case: {
    applies: {
      "a cancellation beside a bill": { facts: [failed, announced], of: { caseId: LEAVING }, now: on(1) },
      "a cancellation beside a bill of another customer": {
        facts: [announced],
        of: { caseId: LEAVING },
        person: shared([failed]),
        now: on(1),
      },
      "an at-risk case beside an announced cancellation": {
        facts: [
          make.subscription("subscription_started", { at: on(0) }),
          make.riskDetected({ at: on(0) }),
          make.cancellationAnnounced({ at: on(1), subscriptionId: "sub_2" }),
        ],
        of: { caseId: RISK },
        now: on(1),
      },
    },
    passes: {
      "a bill beside a cancellation": { facts: [failed, announced], now: on(1) },
      "a cancellation once the bill is paid": {
        facts: [failed, announced, make.paymentSucceeded({ at: on(1) })],
        of: { caseId: LEAVING },
        now: on(1),
      },
      "a cancellation beside a bill that no message may mention": {
        facts: [make.paymentFailed({ at: on(0), declineCode: "stolen_card" }), announced],
        of: { caseId: LEAVING },
        now: on(1),
      },
    },
  },
  bought_again: {
    applies: {
      "a new subscription, and then the cancellation of the old one": {
        facts: [...BOUGHT, make.cancellationAnnounced({ at: on(20), startedAt: on(-90) })],
        of: { caseId: LEAVING },
        now: on(20),
      },
      "a new subscription of another customer with the address": {
        facts: [announced],
        of: { caseId: LEAVING, step: 2 },
        person: shared(BOUGHT),
        now: on(3),
      },
      "a failed bill, and then the same product bought and paid": { facts: [failed, ...BOUGHT], now: on(3) },
    },
    passes: {
      "the other subscription is an old one": {
        facts: [
          announced,
          make.subscription("subscription_started", { at: on(0), subscriptionId: "sub_2", startedAt: on(-90) }),
        ],
        of: { caseId: LEAVING },
        now: on(1),
      },
      "the new one is canceled too": {
        facts: [
          announced,
          make.subscription("subscription_changed", {
            ...{ at: on(2), subscriptionId: "sub_2", startedAt: on(2), cancelAt: on(30) },
          }),
        ],
        of: { caseId: LEAVING, step: 4 },
        now: on(5),
      },
      "a failed bill, and then another product": {
        facts: [
          failed,
          ...BOUGHT.slice(0, 1),
          make.subscription("subscription_started", {
            ...{ at: on(2), subscriptionId: "sub_2", startedAt: on(2) },
            items: [{ ...make.MONTHLY, priceId: "price_2", productId: "prod_2" }],
          }),
          ...BOUGHT.slice(2),
        ],
        now: on(3),
      },
    },
  },
  held_out: {
    applies: { "the case is in the control group": { facts: [failed, heldOut] } },
    passes: { "a manual nudge": { facts: [failed, heldOut], of: { step: null } } },
  },
  history: {
    applies: { "the case was imported": { facts: [{ ...failed, origin: "history" }] } },
    passes: { "the case is live": {} },
  },
  invoice_too_old: {
    applies: {
      "the invoice was written two years ago": { facts: [make.paymentFailed({ at: on(0), issuedAt: on(-730) })] },
    },
    passes: {
      "the invoice is a month old": { facts: [make.paymentFailed({ at: on(0), issuedAt: on(-30) })] },
      "a manual nudge": {
        facts: [make.paymentFailed({ at: on(0), issuedAt: on(-730) })],
        of: { step: null },
      },
    },
  },
  payment_in_progress: {
    applies: {
      "a bank debit is in progress": {
        facts: [failed, make.paymentPending({ at: on(1), method: "sepa_debit" })],
        now: on(1),
      },
    },
    passes: {
      "its result is overdue": {
        facts: [failed, make.paymentPending({ at: on(1), method: "sepa_debit" })],
        now: on(60),
      },
    },
  },
  collection_paused: {
    applies: {
      "the member asked for a pause": {
        facts: [failed, make.subscription("subscription_paused", { at: on(1), paused: "requested" })],
        now: on(1),
      },
    },
    passes: {
      "the pause has reached its date, without an event of its end": {
        facts: [
          failed,
          make.subscription("subscription_paused", { at: on(1), paused: "requested", pauseEndsAt: on(5) }),
        ],
        now: on(5),
      },
      "a failed payment caused the pause": {
        facts: [failed, make.subscription("subscription_paused", { at: on(1), paused: "payment_failure" })],
        now: on(1),
      },
    },
  },
  superseded: {
    applies: { "a later step is due too": { nudges: [nudge({ step: 2 })], now: on(2) } },
    passes: { "a later step is due later": { nudges: [nudge({ step: 2, dueAt: on(9) })] } },
  },
  held_out_conversation: {
    applies: {
      "the older bill is in the control group": {
        facts: [failed, failedToo, heldOut],
        of: { caseId: "payment_in_2" },
        now: on(1),
      },
      "that of another customer with the address": {
        facts: [failedToo],
        of: { caseId: "payment_in_2" },
        person: shared([failed, heldOut]),
        now: on(1),
      },
    },
    passes: {
      "the younger bill is": {
        facts: [failed, failedToo, make.caseAssigned({ at: on(1), caseId: "payment_in_2" })],
        now: on(1),
      },
    },
  },
  covered: {
    applies: {
      "an older bill has its next message planned": {
        facts: [failed, failedToo],
        of: { caseId: "payment_in_2" },
        nudges: [sent(PAYMENT, 0, on(0)), nudge({ step: 2, dueAt: on(2) })],
        now: on(1),
      },
      "so has an older bill of another customer": {
        facts: [failedToo],
        of: { caseId: "payment_in_2" },
        person: shared([failed], [nudge({ dueAt: on(1) })]),
        now: on(1),
      },
    },
    passes: {
      "the message of the older one is weeks away": {
        facts: [failed, failedToo],
        of: { caseId: "payment_in_2" },
        nudges: [nudge({ step: 30, dueAt: on(30) })],
        now: on(1),
      },
      "it is the older one itself": {
        facts: [failed, failedToo],
        nudges: [nudge({ caseId: "payment_in_2", dueAt: on(1) })],
        now: on(1),
      },
    },
  },
  already_sent: {
    applies: {
      "the last reminder was sent for another bill": {
        facts: [failed, failedToo],
        of: { caseId: "payment_in_2", step: 4 },
        nudges: [sent(PAYMENT, 4, on(4))],
        now: on(9),
      },
      "it was sent to another customer with the address": {
        facts: [failedToo],
        of: { caseId: "payment_in_2", step: 4 },
        person: shared([failed], [sent(PAYMENT, 4, on(4))]),
        now: on(9),
      },
      "a reminder of a bill was sent, and the bill is paid, when the cancellation is due": {
        facts: [failed, announced, make.paymentSucceeded({ at: on(4) })],
        of: { caseId: LEAVING, step: 2 },
        nudges: [sent(PAYMENT, 2, on(2))],
        now: on(6),
      },
    },
    passes: {
      "a further bill gets its first message": {
        facts: [failed, make.paymentFailed({ at: on(9), invoiceId: "in_2" })],
        of: { caseId: "payment_in_2" },
        nudges: [sent(PAYMENT, 4, on(4))],
        now: on(9),
      },
      "the other bill was paid before this one failed": {
        facts: [failed, make.paymentSucceeded({ at: on(5) }), make.paymentFailed({ at: on(9), invoiceId: "in_2" })],
        of: { caseId: "payment_in_2", step: 4 },
        nudges: [sent(PAYMENT, 4, on(4))],
        now: on(13),
      },
    },
  },
  repeated_cancellation: {
    applies: {
      "a cancellation is taken back and announced again": {
        facts: AGAIN,
        of: { caseId: "cancellation_sub_1_2" },
        nudges: [sent(LEAVING, 0, on(1))],
        now: on(3),
      },
    },
    passes: {
      "a week later": {
        facts: AGAIN,
        of: { caseId: "cancellation_sub_1_2" },
        nudges: [sent(LEAVING, 0, on(1))],
        now: on(8),
      },
      "a step that was not sent before": {
        facts: AGAIN,
        of: { caseId: "cancellation_sub_1_2", step: 2 },
        nudges: [sent(LEAVING, 0, on(1))],
        now: on(5),
      },
    },
  },
  one_per_day: {
    applies: {
      "a further bill fails hours after the last reminder": {
        facts: [failed, make.paymentFailed({ at: on(4, "12:00:00"), invoiceId: "in_2" })],
        of: { caseId: "payment_in_2" },
        nudges: [sent(PAYMENT, 4, on(4))],
        now: on(4, "12:00:00"),
      },
    },
    passes: {
      "and is paid, before the next one fails": {
        facts: [
          failed,
          make.paymentSucceeded({ at: on(4, "11:00:00") }),
          make.paymentFailed({ at: on(4, "12:00:00"), invoiceId: "in_2" }),
        ],
        of: { caseId: "payment_in_2" },
        nudges: [sent(PAYMENT, 4, on(4))],
        now: on(4, "12:00:00"),
      },
    },
  },
  quiet_hours: {
    applies: {
      "it is night where the member lives": { facts: [failed, inKolkata], now: on(0, "18:00:00") },
      "according to another customer of the person": { person: shared([inKolkata]), now: on(0, "18:00:00") },
    },
    passes: { "a manual nudge": { facts: [failed, inKolkata], of: { step: null }, now: on(0, "18:00:00") } },
  },
  quarantined: {
    applies: {
      "the customer is in quarantine": { person: { others: [], isOptedOut: false, quarantinedUntil: on(1) } },
      "a manual nudge": {
        of: { step: null },
        person: { others: [], isOptedOut: false, quarantinedUntil: on(1) },
      },
    },
    passes: {
      "the quarantine has ended": { person: { others: [], isOptedOut: false, quarantinedUntil: on(-1) } },
    },
  },
  frequency_cap: {
    applies: {
      "two messages today": { nudges: [sent("x", 0, on(0)), sent("y", 0, on(0))] },
      "to two customers with the address": {
        nudges: [sent("x", 0, on(0))],
        person: shared([mailed], [sent("y", 0, on(0))]),
      },
      "and a manual nudge": { of: { step: null }, nudges: [sent("x", 0, on(0)), sent("y", 0, on(0))] },
    },
    passes: { "one message today": { nudges: [sent("x", 0, on(0))] } },
  },
}

test("every rule has rows, and every row a rule", () => {
  expect(Object.keys(ROWS).sort()).toEqual(CONTACT_RULES.map(({ rule }) => rule).sort())
})

describe.each(CONTACT_RULES.map((rule) => [rule.rule, rule] as const))("%s", (name, rule) => {
  const { applies = {}, passes = {} } = ROWS[name] ?? {}

  test.each(Object.entries(applies))("decides: %s", (_, row) => {
    const decided = found(row)
    expect(decided?.rule).toBe(name)
    expect(decided?.until != null).toBe(rule.outcome === "defer")
  })

  test.each(Object.entries(passes))("does not: %s", (_, row) => {
    expect(found(row)).toBeNull()
  })

  test("has a reason and a source", () => {
    expect(rule.why.endsWith(".")).toBe(true)
    expect(rule.source.length).toBeGreaterThan(5)
    expect(rule.at === "plan" && rule.outcome === "defer").toBe(false)
  })
})

test("the reference lists the rules in their order, with their reasons", () => {
  const reference = readFileSync(new URL("../../../../docs/API.md", import.meta.url), "utf8")
  const [, section = ""] = reference.split("## When a nudge is sent")
  const listed = [...(section.split("\n## ")[0] ?? "").matchAll(/^\| `(\w+)` \| (\w+) \| .*?`(\w+)`.*? \| (.+) \|$/gm)]
  expect(listed.map(([, rule, at, reason, why]) => ({ rule, at, reason, why }))).toEqual(
    CONTACT_RULES.map(({ rule, at, reason, why }) => ({ rule, at, reason, why })),
  )
})

test("rules that protect the member do not apply to messages to the team", () => {
  const of = { channel: "slack", caseId: LEAVING } as const
  expect(found({ facts: [failed, announced], of, now: on(1) })).toBeNull()
})

describe("the open bills of a person", () => {
  const bills = (row: Row) => totalsByCurrency(openBillsOf(contextOf(row)))

  test("are counted and summed by currency, over all customers with the address", () => {
    const second = make.paymentFailed({ at: on(1), invoiceId: "in_2", ...MONEY })
    const third = make.paymentFailed({ at: on(1), invoiceId: "in_3", amountMinor: 500, currency: "eur" })
    expect(bills({ facts: [failed, second], person: shared([third]) })).toEqual({
      invoiceCount: 3,
      totals: [
        { totalMinor: 500, currency: "eur" },
        { totalMinor: 1_999 + 2_900, currency: "usd" },
      ],
    })
  })

  test("exclude what no message may mention: held out, imported, of a stolen card, paid", () => {
    const stolen = make.paymentFailed({ at: on(1), invoiceId: "in_2", declineCode: "stolen_card" })
    const old: Fact = { ...make.paymentFailed({ at: on(1), invoiceId: "in_3" }), origin: "history" }
    const paid = [
      make.paymentFailed({ at: on(1), invoiceId: "in_4" }),
      make.paymentSucceeded({ at: on(1), invoiceId: "in_4" }),
    ]
    const out = [
      make.paymentFailed({ at: on(1), invoiceId: "in_5" }),
      make.caseAssigned({ at: on(1), caseId: "payment_in_5" }),
    ]
    expect(bills({ facts: [failed, stolen, old, ...paid, ...out] }).invoiceCount).toBe(1)
  })

  test("are not part of a cancellation message", () => {
    expect(bills({ facts: [failed, announced], of: { caseId: LEAVING } }).invoiceCount).toBe(0)
  })
})
