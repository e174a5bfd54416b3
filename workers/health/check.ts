/**
 * A health check: bounded in time, cached in the isolate for a few seconds, in the format of
 * draft-inadarei-api-health-check-06. Without an operator's key the document holds only the status (ASVS 13.4.5).
 */
import type { Context } from "hono"
import { isDatabaseUnavailable } from "../../db/client.ts"
import { withTimeout } from "../../shared/network/with-timeout.ts"
import { TtlCache } from "../../shared/ttl-cache.ts"
import { authenticate, isAllowed } from "../platform/http/auth.ts"
import type { AppEnv } from "../platform/services.ts"

export type HealthStatus = "pass" | "warn" | "fail"

/** The measurement of one component. */
export interface Measurement {
  readonly status: HealthStatus
  readonly componentType: "datastore" | "component" | "system"
  readonly observedValue: number | string | null
  readonly observedUnit: string
  /** When it was measured, and how long that took. */
  readonly time: string
  readonly responseTime: number
}

/** The result of a check. */
export interface CheckResult {
  readonly measurement: Measurement
  /** Further fields of the measurement's entry, also in a document with several checks. */
  readonly entryFields: Readonly<Record<string, string | number | null>>
  /** Fields at the top of a document with this check alone. */
  readonly details: Readonly<Record<string, string | number | null>>
}

/** What a check measures; it throws when the component does not answer. */
export interface Check {
  /** `component:measurement`, the draft's form. */
  readonly name: string
  readonly componentType: Measurement["componentType"]
  readonly observedUnit: string
  /** The status while the component does not answer: `warn` where work only waits. */
  readonly statusWhenUnavailable: Exclude<HealthStatus, "pass">
  /** The details of a document while the component does not answer. */
  readonly detailsWhenUnavailable: CheckResult["details"]
  measure(
    services: AppEnv["Variables"]["services"],
    now: Date,
  ): Promise<{
    readonly status: HealthStatus
    /** Default: the time that measuring took. */
    readonly observedValue?: number | string | null
    readonly details?: CheckResult["details"]
    readonly entryFields?: CheckResult["entryFields"]
  }>
}

/** A monitor that waits three seconds must get an answer even if a component hangs. */
const DEADLINE_MS = 1_500

/** One isolate measures a component at most this often, however many monitors call. */
const CACHE_TTL_MS = 5_000

/** More than there are checks. */
const cache = new TtlCache<CheckResult>({ ttlMs: CACHE_TTL_MS, entriesMax: 100 })

/** Pending work changes every second. Locally there is no cache: the clock of the local world waits for work to end. */
const CACHE_IF_FRESH_MS = 1_000

type Measured = Awaited<ReturnType<Check["measure"]>>

/** Runs a check, or returns its cached result; `isFresh` shortens the cache time. Never throws. */
async function run(check: Check, services: AppEnv["Variables"]["services"], isFresh: boolean): Promise<CheckResult> {
  const start = services.now()
  const isLocal = services.config.environment === "local"
  const maxAgeMs = !isFresh ? CACHE_TTL_MS : isLocal ? 0 : CACHE_IF_FRESH_MS
  const known = cache.get(check.name, start.getTime(), maxAgeMs)
  if (known) return known

  const measured: Measured = await withTimeout(DEADLINE_MS, check.measure(services, start)).catch((error: unknown) => {
    services.log.warn("health_check_failed", { target: check.name, error })
    return { status: check.statusWhenUnavailable, observedValue: null, details: check.detailsWhenUnavailable }
  })
  const responseTime = services.now().getTime() - start.getTime()
  const result = {
    measurement: {
      status: measured.status,
      componentType: check.componentType,
      observedValue: measured.observedValue === undefined ? responseTime : measured.observedValue,
      observedUnit: check.observedUnit,
      time: start.toISOString(),
      responseTime,
    },
    entryFields: measured.entryFields ?? {},
    details: measured.details ?? {},
  }
  cache.set(check.name, result, services.now().getTime())
  return result
}

/**
 * Runs checks concurrently and answers with one document: 200 for pass and warn, 503 for fail. `isFresh` is for callers
 * that wait for work to end. `isPublic` shows the details to everybody. Throws UNAUTHENTICATED for an unknown key.
 */
export async function report(
  c: Context<AppEnv>,
  checks: readonly Check[],
  { isFresh = false, isPublic = false }: { readonly isFresh?: boolean; readonly isPublic?: boolean } = {},
): Promise<Response> {
  const services = c.get("services")
  const mayRead = isPublic || (await mayReadDetails(c))
  const results = await Promise.all(checks.map(async (check) => ({ check, ...(await run(check, services, isFresh)) })))
  const status = worstStatus(results.map(({ measurement }) => measurement.status))
  if (!mayRead) return document(c, status, {})
  const details = checks.length === 1 ? results[0]?.details : {}
  const entries = results.map(({ check, measurement, entryFields }) => [
    check.name,
    [{ ...measurement, ...entryFields }],
  ])
  return document(c, status, { ...details, checks: Object.fromEntries(entries) })
}

/** While Postgres is unavailable a key cannot be looked up: the answer is then the status alone, as without a key. */
async function mayReadDetails(c: Context<AppEnv>): Promise<boolean> {
  const { headers } = c.req.raw
  if (headers.get("authorization") === null) return false
  try {
    const { role } = await authenticate(c.get("services"), headers)
    return isAllowed(role, "health:read")
  } catch (error) {
    if (error instanceof Error && isDatabaseUnavailable(error)) return false
    throw error
  }
}

/** A health document. */
export const document = (c: Context<AppEnv>, status: HealthStatus, content: object): Response =>
  c.body(JSON.stringify({ status, ...content }), status === "fail" ? 503 : 200, {
    "content-type": "application/health+json",
    "cache-control": "no-store",
  })

/** The worst of several statuses; `pass` for an empty list. */
export const worstStatus = (statuses: readonly HealthStatus[]): HealthStatus =>
  statuses.find((status) => status === "fail") ?? statuses.find((status) => status === "warn") ?? "pass"
