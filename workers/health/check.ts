/**
 * A health check: bounded in time, remembered in the isolate for a moment, written as draft-inadarei-api-health-check-06
 * says. Without a key the document is the status alone (ASVS 13.4.5): figures of the inside are for those who operate it.
 */
import type { Context } from "hono"
import { isDatabaseUnavailable } from "../../db/client.ts"
import { withTimeout } from "../../shared/network/with-timeout.ts"
import { TtlCache } from "../../shared/ttl-cache.ts"
import { authenticate, isAllowed } from "../platform/auth.ts"
import type { AppEnv } from "../platform/services.ts"

export type HealthStatus = "pass" | "warn" | "fail"

/** What one component was found to be. */
export interface Measurement {
  readonly status: HealthStatus
  readonly componentType: "datastore" | "component" | "system"
  readonly observedValue: number | string | null
  readonly observedUnit: string
  /** When it was measured, and how long that took. */
  readonly time: string
  readonly responseTime: number
}

/** What a check found, and what its document says beside that at the top. */
export interface Finding {
  readonly measurement: Measurement
  /** What is told beside the measurement, also where several are in one document. */
  readonly beside: Readonly<Record<string, string | number | null>>
  readonly details: Readonly<Record<string, string | number | null>>
}

/** What a check measures; it throws when the component does not answer. */
export interface Check {
  /** `component:measurement`, as the draft names it. */
  readonly name: string
  readonly componentType: Measurement["componentType"]
  readonly observedUnit: string
  /** What it means that the component does not answer: `warn` where work only waits. */
  readonly whenAway: Exclude<HealthStatus, "pass">
  /** The details of a document while the component does not answer. */
  readonly detailsWhenAway: Finding["details"]
  measure(
    services: AppEnv["Variables"]["services"],
    now: Date,
  ): Promise<{
    readonly status: HealthStatus
    /** Left out: the time that measuring took. */
    readonly observedValue?: number | string | null
    readonly details?: Finding["details"]
    readonly beside?: Finding["beside"]
  }>
}

/** A monitor that waits three seconds must have its answer by then, whatever hangs. */
const DEADLINE_MS = 1_500

/** However many monitors ask, one isolate asks a component this often at most. */
const CACHE_TTL_MS = 5_000

/** More than there are checks. */
const remembered = new TtlCache<Finding>({ ttlMs: CACHE_TTL_MS, entriesMax: 100 })

/** What waits changes by the second; the local world's clock, which waits for it, is told the truth of the moment. */
const CACHE_IF_FRESH_MS = 1_000

type Measured = Awaited<ReturnType<Check["measure"]>>

/** Runs a check; what it found a moment ago will do, a shorter one if `isFresh`. Never throws. */
async function run(check: Check, services: AppEnv["Variables"]["services"], isFresh: boolean): Promise<Finding> {
  const start = services.now()
  const isLocal = services.config.environment === "local"
  const goodForMs = !isFresh ? CACHE_TTL_MS : isLocal ? 0 : CACHE_IF_FRESH_MS
  const known = remembered.get(check.name, start.getTime(), goodForMs)
  if (known) return known

  const measured: Measured = await withTimeout(DEADLINE_MS, check.measure(services, start)).catch((error: unknown) => {
    services.log.warn("health_check_failed", { target: check.name, error })
    return { status: check.whenAway, observedValue: null, details: check.detailsWhenAway }
  })
  const responseTime = services.now().getTime() - start.getTime()
  const finding = {
    measurement: {
      status: measured.status,
      componentType: check.componentType,
      observedValue: measured.observedValue === undefined ? responseTime : measured.observedValue,
      observedUnit: check.observedUnit,
      time: start.toISOString(),
      responseTime,
    },
    beside: measured.beside ?? {},
    details: measured.details ?? {},
  }
  remembered.set(check.name, finding, services.now().getTime())
  return finding
}

/**
 * Runs checks side by side and answers with one document: 200 for pass and warn, 503 for fail. `isFresh` measures now, for
 * those who wait for work to end. `isPublic` shows the details to everybody. Throws UNAUTHENTICATED for a key that is none.
 */
export async function report(
  c: Context<AppEnv>,
  checks: readonly Check[],
  { isFresh = false, isPublic = false }: { readonly isFresh?: boolean; readonly isPublic?: boolean } = {},
): Promise<Response> {
  const services = c.get("services")
  const mayRead = isPublic || (await mayReadDetails(c))
  const findings = await Promise.all(checks.map(async (check) => ({ check, ...(await run(check, services, isFresh)) })))
  const status = worstStatus(findings.map(({ measurement }) => measurement.status))
  if (!mayRead) return document(c, status, {})
  const details = checks.length === 1 ? findings[0]?.details : {}
  const entries = findings.map(({ check, measurement, beside }) => [check.name, [{ ...measurement, ...beside }]])
  return document(c, status, { ...details, checks: Object.fromEntries(entries) })
}

/** Whose key it is cannot be told while Postgres is away: then the status is told, as without a key. */
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

/** The worst of several statuses; none at all is a pass. */
export const worstStatus = (statuses: readonly HealthStatus[]): HealthStatus =>
  statuses.find((status) => status === "fail") ?? statuses.find((status) => status === "warn") ?? "pass"
