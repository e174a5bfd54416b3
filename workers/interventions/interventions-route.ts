/** `/api/interventions`: outcomes of treated cases compared with held-out cases, and of variants of templates. */
import { Hono } from "hono"
import * as z from "zod"
import { readEffects } from "../../db/queries/interventions/effects.ts"
import type { InterventionFilter, OutcomeRow } from "../../db/queries/interventions/interventions.ts"
import { segmentCondition } from "../../db/queries/interventions/segment-rule.ts"
import type { Arm } from "../../shared/domain/facts.ts"
import {
  type Amounts,
  incrementalOf,
  liftOf,
  type Share,
  shareOf,
  verdictOf,
} from "../../shared/domain/interventions/lift.ts"
import type { CaseKind } from "../../shared/domain/state.ts"
import { withPermission } from "../platform/http/auth.ts"
import { currencyText, idText, validQuery } from "../platform/http/request.ts"
import type { AppEnv } from "../platform/services.ts"
import { requireSegment } from "./segments-route.ts"
import { compareVariants } from "./variants.ts"

const KINDS = ["payment", "cancellation", "at_risk"] as const satisfies CaseKind[]

/** A month: covers payment retries and one billing period. */
const HORIZON_DAYS_DEFAULT = 30
const HORIZON_DAYS_MAX = 180

const instant = z.iso.datetime({ offset: true }).transform((text) => new Date(text))

const query = z.lazy(() =>
  z.strictObject({
    kind: z.enum(KINDS).optional(),
    segmentId: idText.optional(),
    currency: currencyText.optional(),
    from: instant.optional(),
    to: instant.optional(),
    horizonDays: z
      .string()
      .regex(/^[1-9]\d{0,2}$/, `expected a whole number from 1 to ${HORIZON_DAYS_MAX}`)
      .transform(Number)
      .pipe(z.number().max(HORIZON_DAYS_MAX, `expected at most ${HORIZON_DAYS_MAX}`))
      .default(HORIZON_DAYS_DEFAULT),
  }),
)

export const interventions = new Hono<AppEnv>().get(
  "/",
  withPermission("interventions:read"),
  validQuery(query),
  async (c) => {
    const { db, now } = c.get("services")
    const { companyId } = c.get("principal")
    const { segmentId, horizonDays, kind, currency, from, to } = c.req.valid("query")
    const at = now()
    const segment = segmentId === undefined ? null : await requireSegment(c.get("services"), companyId, segmentId)
    const condition = segment === null ? undefined : segmentCondition(segment.rule, { companyId, now: at })
    const filter: InterventionFilter = { kind, currency, from, to, condition }
    const horizon = { now: at, horizonDays }
    const { outcomes, uplift, experiments, variants } = await readEffects(db, companyId, filter, horizon)
    return c.json({
      asOf: at.toISOString(),
      horizonDays,
      segmentId: segmentId ?? null,
      data: KINDS.filter((each) => kind === undefined || each === kind).map((each) => ({
        kind: each,
        ...compareArms(outcomes.filter((row) => row.kind === each)),
      })),
      nextCursor: null,
      /** Comparisons of templates with their variants, those started last first. */
      variants: experiments
        .filter(({ caseKind }) => kind === undefined || caseKind === kind)
        .map((one) => compareVariants(one, variants)),
      /** The evaluation of the uplift model, and whether it selects at_risk cases; null: no training has run yet. */
      uplift: uplift === null ? null : { trainedAt: uplift.trainedAt.toISOString(), ...uplift.report },
    })
  },
)

/** One kind of case: counts, outcomes of matured cases by arm, and the lift with its verdict. */
export function compareArms(rows: readonly OutcomeRow[]) {
  const randomized = rows.filter(isRandomized)
  const strata = [...Map.groupBy(randomized, ({ percentage }) => percentage).values()].map((stratum) => ({
    treated: sharesOf(stratum, "treated"),
    heldOut: sharesOf(stratum, "held_out"),
  }))
  const lift = liftOf(strata)
  const currencies = [...new Set(randomized.flatMap(({ currency }) => (currency === null ? [] : [currency])))].sort()
  return {
    cases: sum(rows, "cases"),
    open: sum(rows, "open"),
    /** Cases assigned while there was a hold-out: only these are compared. */
    randomized: sum(randomized, "cases"),
    matured: sum(randomized, "matured"),
    treated: showArm(randomized, "treated"),
    heldOut: showArm(randomized, "held_out"),
    lift: { verdict: verdictOf(strata), ...(lift ?? { difference: null, low: null, high: null }) },
    amounts: currencies.map((currency) => showAmounts(randomized, currency)),
  }
}

/** A case that had no chance of being held out has no control group to compare with. */
const isRandomized = ({ arm, percentage }: OutcomeRow): boolean => arm !== null && percentage !== null && percentage > 0

const sum = (rows: readonly OutcomeRow[], name: "cases" | "open" | "written" | "matured" | "successes"): number =>
  rows.reduce((total, row) => total + row[name], 0)

const sharesOf = (rows: readonly OutcomeRow[], arm: Arm): Share => {
  const own = rows.filter((row) => row.arm === arm)
  return { successes: sum(own, "successes"), cases: sum(own, "matured") }
}

function showArm(rows: readonly OutcomeRow[], arm: Arm) {
  const own = rows.filter((row) => row.arm === arm)
  const share = sharesOf(rows, arm)
  return {
    cases: sum(own, "cases"),
    /** In the held-out arm: cases with a manual message. They stay in their arm (intention to treat). */
    written: sum(own, "written"),
    matured: share.cases,
    successes: share.successes,
    ...shareOf(share),
  }
}

function showAmounts(rows: readonly OutcomeRow[], currency: string) {
  const own = rows.filter((row) => row.currency === currency)
  const amountsOf = (part: readonly OutcomeRow[], arm: Arm): Amounts => {
    const of = part.filter((row) => row.arm === arm)
    const add = (name: "atStake" | "kept" | "atStakeSquared" | "keptSquared" | "product"): number =>
      of.reduce((total, row) => total + row[name], 0)
    return {
      cases: sum(of, "matured"),
      ...{ atStake: add("atStake"), kept: add("kept") },
      ...{ atStakeSquared: add("atStakeSquared"), keptSquared: add("keptSquared"), product: add("product") },
    }
  }
  const strata = [...Map.groupBy(own, ({ percentage }) => percentage).values()].map((stratum) => ({
    treated: amountsOf(stratum, "treated"),
    heldOut: amountsOf(stratum, "held_out"),
  }))
  const shares = [...Map.groupBy(own, ({ percentage }) => percentage).values()].map((stratum) => ({
    treated: sharesOf(stratum, "treated"),
    heldOut: sharesOf(stratum, "held_out"),
  }))
  const [treated, heldOut] = [amountsOf(own, "treated"), amountsOf(own, "held_out")]
  const incremental = incrementalOf(strata)
  return {
    currency,
    treated: { atStakeMinor: treated.atStake, keptMinor: treated.kept },
    heldOut: { atStakeMinor: heldOut.atStake, keptMinor: heldOut.kept },
    incremental: {
      isTooFewToTell: verdictOf(shares) === "too_few_to_tell",
      amountMinor: incremental?.amountMinor ?? null,
      lowMinor: incremental?.low ?? null,
      highMinor: incremental?.high ?? null,
    },
  }
}
