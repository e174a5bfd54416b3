import { describe, expect, test } from "vitest"
import { paymentSucceeded, subscription, subscriptionEnded } from "../../../test/support/events/facts.ts"
import type { Fact } from "../../domain/facts.ts"
import { features, type LedgerFact } from "../../domain/scoring/features.ts"
import { ledgerRows, monthStarts, withHistoryAtOccurredAt, withoutImportedFacts } from "./ledger-rows.ts"

const utc = (text: string): string => new Date(`${text}Z`).toISOString()
const ms = (text: string): number => Date.parse(`${text}Z`)
const known = (fact: Fact): LedgerFact => ({ ...fact, knownAt: fact.occurredAt })

const started = known(
  subscription("subscription_started", { at: utc("2025-01-10T00:00:00"), startedAt: utc("2025-01-10T00:00:00") }),
)
const paid = known(paymentSucceeded({ at: utc("2025-01-10T01:00:00") }))
const ended = known(subscriptionEnded({ at: utc("2025-05-20T00:00:00") }))

describe("rows of a ledger", () => {
  test("there is one for each first of a month with paid access, and the last one is labelled as churn", () => {
    const rows = ledgerRows([started, paid, ended], ms("2026-01-01T00:00:00"))
    expect(rows.map(({ atMs, label }) => [new Date(atMs).toISOString().slice(0, 10), label.isChurned])).toEqual([
      ["2025-02-01", false],
      ["2025-03-01", false],
      ["2025-04-01", false],
      ["2025-05-01", true],
    ])
  })

  test("months whose outcome is not final are left out", () => {
    const rows = ledgerRows([started, paid, ended], ms("2025-06-15T00:00:00"))
    expect(rows.map(({ atMs }) => new Date(atMs).toISOString().slice(0, 7))).toEqual(["2025-02", "2025-03", "2025-04"])
  })

  test("months continue over the end of a year, and a ledger without facts has none", () => {
    const firsts = monthStarts(ms("2025-11-30T12:00:00"), ms("2026-02-01T00:00:00"))
    expect(firsts.map((at) => new Date(at).toISOString().slice(0, 10))).toEqual([
      "2025-12-01",
      "2026-01-01",
      "2026-02-01",
    ])
    expect(ledgerRows([], ms("2026-01-01T00:00:00"))).toEqual([])
  })
})

describe("imported facts", () => {
  const imported = (fact: LedgerFact): LedgerFact => ({
    ...fact,
    origin: "history",
    knownAt: utc("2025-12-01T00:00:00"),
  })

  test("count from when they occurred", () => {
    const ledger = [started, paid].map(imported)
    const asOf = utc("2025-04-01T00:00:00")
    expect(features(ledger, asOf).tenure_days).toBeNull()
    expect(features(withHistoryAtOccurredAt(ledger), asOf).payments).toBe(1)
    expect(withoutImportedFacts([...ledger, ended])).toEqual([ended])
  })

  test("do not reveal later values of a subscription", () => {
    const later = subscription("subscription_started", {
      at: utc("2025-01-10T00:00:00"),
      startedAt: utc("2025-01-10T00:00:00"),
      currentPeriodEnd: utc("2025-12-10T00:00:00"),
      items: [
        {
          priceId: "p",
          productId: null,
          unitAmountMinor: 99_900,
          quantity: 1,
          interval: "month",
          intervalCount: 1,
          usageType: "licensed",
        },
      ],
    })
    const values = features(withHistoryAtOccurredAt([imported(known(later))]), utc("2025-04-01T00:00:00"))
    expect(values.price_class).toBeNull()
    expect(values.days_to_renewal).toBeLessThan(31)
    expect(values.interval).toBe("month")
  })
})
