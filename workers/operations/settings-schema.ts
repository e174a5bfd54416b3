/** The schema of a company's settings. */
import * as z from "zod"
import { HOLDOUT_PERCENTAGE_MAX } from "../../shared/domain/interventions/holdout.ts"
import { isTimeZone } from "../../shared/domain/recovery/nudges/quiet-hours.ts"
import { type CompanySettings, DEFAULT_SETTINGS, MEMBER_CHANNELS } from "../../shared/domain/settings.ts"
import { meterName } from "../webhooks/meter-name.ts"

/** A playbook that is longer, or lasts more than a year, is a mistake. */
const STEPS_MAX = 20
const DAY_MAX = 365
const CAPS_MAX = 10
const INVOICE_AGE_DAYS_MAX = 3_650
const YEAR_HOURS = 365 * 24

/** Ten years; a price in the currencies with the smallest unit; more cases than a day's runs can open. */
const MONTHS_MAX = 120
const COST_MINOR_MAX = 1_000_000_000
const CASES_PER_DAY_MAX = 1_000

const RISK = DEFAULT_SETTINGS.atRisk

const memberChannel = z.enum(MEMBER_CHANNELS)

const incentive = z.lazy(() =>
  z.discriminatedUnion("kind", [
    z.strictObject({
      kind: z.literal("discount"),
      percentOff: z.number().int().min(1).max(100),
      months: z.number().int().min(1).max(36),
    }),
    z.strictObject({ kind: z.literal("free_days"), days: z.number().int().min(1).max(365) }),
  ]),
)

const playbook = z.lazy(() =>
  z
    .array(
      z.strictObject({
        day: z.number().int().min(0).max(DAY_MAX),
        channel: z
          .enum([...memberChannel.options, "slack"])
          .nullable()
          .default(null),
        incentive: incentive.nullable().default(null),
      }),
    )
    .max(STEPS_MAX)
    .refine((steps) => areUnique(steps.map(({ day }) => day)), { error: "expected each day once" }),
)

const timeOfDay = z.string().regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/, "expected a time as HH:MM")

/** A component counts up to three times as much as in the model; 0 leaves it out. */
const weight = z.number().min(0).max(3)

/** A threshold below the base rate would include nearly everybody. */
const timesBaseRate = z.number().min(1).max(100)

/** Milestones of one kind; more would be too many messages. */
const MARKS_MAX = 10
const TENURE_DAYS_MAX = 3_650
const USAGE_TOTAL_MAX = 1e12

/** The company name that members see. */
export const brandName = z.lazy(() =>
  z
    .string()
    .trim()
    .min(1)
    .max(80)
    .regex(/^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+$/u, "expected one line of plain text"),
)

/** A company's settings. A missing field takes its default; an unknown field is refused. */
export const settingsSchema = z.lazy(() =>
  z
    .strictObject({
      brandName: brandName.nullable().default(DEFAULT_SETTINGS.brandName),
      supportEmail: z.email().max(254).nullable().default(DEFAULT_SETTINGS.supportEmail),
      country: z
        .string()
        .regex(/^[A-Z]{2}$/, "expected a country as two capital letters (ISO 3166-1)")
        .nullable()
        .default(DEFAULT_SETTINGS.country),
      invoiceAgeDaysMax: z.number().int().min(1).max(INVOICE_AGE_DAYS_MAX).default(DEFAULT_SETTINGS.invoiceAgeDaysMax),
      timeZone: z
        .string()
        .max(64)
        .refine(isTimeZone, { error: "expected an IANA time zone" })
        .default(DEFAULT_SETTINGS.timeZone),
      playbooks: z
        .strictObject({ payment: playbook, cancellation: playbook, at_risk: playbook })
        .default(() => copyOf(DEFAULT_SETTINGS.playbooks)),
      channelOrder: z
        .array(memberChannel)
        .min(1)
        .refine(areUnique, { error: "expected each channel once" })
        .default(() => [...DEFAULT_SETTINGS.channelOrder]),
      quietHours: z
        .strictObject({ start: timeOfDay, end: timeOfDay })
        .nullable()
        .default(() => copyOf(DEFAULT_SETTINGS.quietHours)),
      frequencyCaps: z
        .array(
          z.strictObject({ max: z.number().int().min(1).max(100), hours: z.number().int().min(1).max(YEAR_HOURS) }),
        )
        .max(CAPS_MAX)
        .default(() => copyOf(DEFAULT_SETTINGS.frequencyCaps)),
      incentivePeriodDays: z.number().int().min(1).max(3_650).default(DEFAULT_SETTINGS.incentivePeriodDays),
      alertTeam: z.boolean().default(DEFAULT_SETTINGS.alertTeam),
      healthWeights: z
        .strictObject({ payment: weight, usage: weight, support: weight, relationship: weight, tenure: weight })
        .default(DEFAULT_SETTINGS.healthWeights),
      riskThresholds: z
        .strictObject({ medium: timesBaseRate, high: timesBaseRate, critical: timesBaseRate })
        .refine(({ medium, high, critical }) => medium <= high && high <= critical, {
          error: "expected medium, high and critical to ascend",
        })
        .default(DEFAULT_SETTINGS.riskThresholds),
      milestones: z
        .strictObject({
          firstPayment: z.boolean(),
          tenureDays: z.array(z.number().int().min(1).max(TENURE_DAYS_MAX)).max(MARKS_MAX).refine(areUnique, {
            error: "expected each number of days once",
          }),
          usage: z
            .array(z.strictObject({ meter: meterName.nullable(), total: z.number().positive().max(USAGE_TOTAL_MAX) }))
            .max(MARKS_MAX),
          announce: z.boolean(),
        })
        .default(() => copyOf(DEFAULT_SETTINGS.milestones)),
      holdoutPercentage: z
        .number()
        .int()
        .min(0)
        .max(HOLDOUT_PERCENTAGE_MAX)
        .nullable()
        .default(DEFAULT_SETTINGS.holdoutPercentage),
      atRisk: z
        .strictObject({
          marginPercent: z.number().min(0).max(100).default(RISK.marginPercent),
          valueMonths: z.number().int().min(1).max(MONTHS_MAX).default(RISK.valueMonths),
          contactCostMinor: z.number().int().min(0).max(COST_MINOR_MAX).default(RISK.contactCostMinor),
          assumedUplift: z.number().min(0).max(1).default(RISK.assumedUplift),
          casesPerDay: z.number().int().min(0).max(CASES_PER_DAY_MAX).default(RISK.casesPerDay),
          restDays: z.number().int().min(0).max(DAY_MAX).default(RISK.restDays),
          periodDays: z.number().int().min(1).max(DAY_MAX).default(RISK.periodDays),
        })
        .prefault({}),
    })
    .meta({ id: "Settings" }),
) satisfies z.ZodType<CompanySettings>

function areUnique(values: readonly unknown[]): boolean {
  return new Set(values).size === values.length
}

/** The defaults are read-only, and a caller may change what zod returns. */
const copyOf = <T>(value: T): Mutable<T> => structuredClone(value) as Mutable<T>
type Mutable<T> = T extends object ? { -readonly [Key in keyof T]: Mutable<T[Key]> } : T
