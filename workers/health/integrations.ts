/**
 * The state of the remote services that we call, from their circuit breakers in this isolate and, through Redis, in
 * others. No service is called for it, so monitors add no load to a failing one.
 */
import type { Config } from "../../shared/config.ts"
import { type BreakerView, publishedView, worseView } from "../platform/outbound/breaker-view.ts"
import { TARGETS, type Target } from "../platform/outbound/policy.ts"
import type { Services } from "../platform/services.ts"
import type { Check } from "./check.ts"

/** One check per service. An open breaker is a warning, not a failure: its work waits. */
export const integrations: readonly Check[] = TARGETS.map((target) => ({
  name: `${target}:breaker`,
  componentType: "component",
  observedUnit: "state",
  statusWhenUnavailable: "warn",
  detailsWhenUnavailable: {},
  async measure(services, now) {
    if (!isConfigured(services, target)) return { status: "pass", observedValue: "not_configured" }
    const { state, since, until, failures, reason } = await stateOf(services, target, now)
    const status = state === "closed" ? "pass" : "warn"
    return { status, observedValue: state, entryFields: { since, until, failures, reason } }
  },
}))

/** The number of services whose breaker is not closed. */
export const brokenIntegrations: Check = {
  name: "integrations:broken",
  componentType: "component",
  observedUnit: "integrations",
  statusWhenUnavailable: "warn",
  detailsWhenUnavailable: {},
  async measure(services, now) {
    const configured = TARGETS.filter((target) => isConfigured(services, target))
    const views = await Promise.all(configured.map((target) => stateOf(services, target, now)))
    const broken = views.filter(({ state }) => state !== "closed").length
    return { status: broken === 0 ? "pass" : "warn", observedValue: broken }
  },
}

/** The worse of this isolate's state and the one in Redis; this isolate's alone while Redis is unavailable. */
async function stateOf({ outbound, redis }: Services, target: Target, now: Date): Promise<BreakerView> {
  const own = outbound.viewOf(target)
  const others = await publishedView(redis, target, now).catch(() => null)
  return others === null ? own : worseView(own, others)
}

function isConfigured({ channels, config }: Services, target: Target): boolean {
  switch (target) {
    case "qstash":
      return true
    case "access":
      return config.access.cloudflareAccess !== null
    case "openrouter":
      return config.openRouter.apiKey !== null
    case "stripe-api":
      return hasKey(config.providers.stripe)
    case "whop-api":
      return hasKey(config.providers.whop)
    default:
      return channels[target].isConfigured
  }
}

const hasKey = ({ apiKey }: Config["providers"]["stripe"]): boolean => apiKey !== null
