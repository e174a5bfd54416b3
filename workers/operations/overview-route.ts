/** `/api/overview`: what a success team looks at first. */
import { Hono } from "hono"
import * as z from "zod"
import { COUNTED_MAX, type LikelyToLeave, type ReasonRow, readOverview } from "../../db/queries/operations/overview.ts"
import { highestPriced } from "../../shared/domain/interventions/risk-policy.ts"
import { monthlyMinor } from "../../shared/domain/scoring/features/prices.ts"
import { withPermission } from "../platform/http/auth.ts"
import { validQuery } from "../platform/http/request.ts"
import type { AppEnv } from "../platform/services.ts"

const DAY_MS = 86_400_000
const DAYS_DEFAULT = 30
const DAYS_MAX = 180

/** Nightly scoring covers every customer; a score that missed two nights is outdated. */
const SCORE_AGE_MS = 2 * DAY_MS
/** Customers with the highest probability, from which those with the largest expected loss are taken. */
const CANDIDATES = 200
/** Shown for each currency. */
const SHOWN = 5

const query = z.strictObject({
  days: z
    .string()
    .regex(/^[1-9]\d{0,2}$/, `expected a whole number from 1 to ${DAYS_MAX}`)
    .transform(Number)
    .pipe(z.number().max(DAYS_MAX, `expected at most ${DAYS_MAX}`))
    .default(DAYS_DEFAULT),
})

export const overview = new Hono<AppEnv>().get("/", withPermission("summary:read"), validQuery(query), async (c) => {
  const { db, now } = c.get("services")
  const { days } = c.req.valid("query")
  const at = now()
  const rows = await readOverview(db, c.get("principal").companyId, {
    from: new Date(at.getTime() - days * DAY_MS),
    scoredSince: new Date(at.getTime() - SCORE_AGE_MS),
    limit: CANDIDATES,
  })
  return c.json({
    asOf: at.toISOString(),
    days,
    isWhole: rows.isWhole,
    countedMax: COUNTED_MAX,
    atStake: rows.atStake,
    funnel: rows.funnel,
    reasons: reasonsOf(rows.reasons),
    outcomes: outcomesOf(rows.reasons),
    recovered: rows.recovered,
    failureTimes: rows.failureTimes,
    likelyToLeave: byExpectedLoss(rows.likelyToLeave),
  })
})

/** Counts of each reason over the statuses, the most frequent first. */
export function reasonsOf(rows: readonly ReasonRow[]) {
  const groups = Map.groupBy(rows, ({ kind, reason }) => `${kind} ${reason ?? ""}`)
  const count = (of: readonly ReasonRow[]) => of.reduce((sum, { cases }) => sum + cases, 0)
  return [...groups.values()]
    .flatMap((group) => {
      const [first] = group
      if (first === undefined) return []
      const cases = count(group)
      const recovered = count(group.filter(({ status }) => status === "recovered"))
      const ended = count(group.filter(({ status }) => status !== "open"))
      return [{ kind: first.kind, reason: first.reason, cases, recovered, ended }]
    })
    .sort((a, b) => b.cases - a.cases || (a.reason ?? "").localeCompare(b.reason ?? ""))
}

/** What became of the amounts, by currency and by what opened the cases; the largest amounts first. */
export function outcomesOf(rows: readonly ReasonRow[]) {
  const sum = (of: readonly ReasonRow[], amount: (row: ReasonRow) => number) =>
    of.reduce((total, row) => total + amount(row), 0)
  return [...Map.groupBy(rows, ({ currency, kind, reason }) => `${currency} ${kind} ${reason ?? ""}`).values()]
    .flatMap((group) => {
      const [first] = group
      if (!first?.currency) return []
      const openMinor = sum(group, ({ status, amountMinor }) => (status === "open" ? amountMinor : 0))
      const amountMinor = sum(group, (row) => row.amountMinor)
      const recoveredMinor = sum(group, (row) => row.recoveredMinor)
      const { currency, kind, reason } = first
      // What a recovered case did not bring back is lost too.
      return [
        {
          currency,
          kind,
          reason,
          amountMinor,
          recoveredMinor,
          openMinor,
          lostMinor: amountMinor - recoveredMinor - openMinor,
        },
      ]
    })
    .sort((a, b) => a.currency.localeCompare(b.currency) || b.amountMinor - a.amountMinor)
}

/** Customers by what their leaving would cost a month. Amounts of different currencies are not compared. */
export function byExpectedLoss(customers: readonly LikelyToLeave[]) {
  return customers
    .flatMap(({ subscriptions, ...customer }) => {
      const subscription = highestPriced(Object.values(subscriptions))
      const monthly = subscription ? monthlyMinor(subscription) : null
      if (!subscription?.currency || monthly === null || monthly <= 0) return []
      const amounts = { monthlyMinor: monthly, expectedLossMinor: customer.probability * monthly }
      return [{ ...customer, ...amounts, currency: subscription.currency }]
    })
    .sort(
      (a, b) =>
        a.currency.localeCompare(b.currency) ||
        b.expectedLossMinor - a.expectedLossMinor ||
        a.customerId.localeCompare(b.customerId),
    )
    .filter(({ currency }, place, sorted) => sorted[place - SHOWN]?.currency !== currency)
}
