/**
 * How the sides are that we call: by their circuit breakers, in this isolate and as other isolates told through Redis.
 * Nobody is called for it: a side that is in trouble is not asked by every monitor as well.
 */
import type { Config } from "../../shared/config.ts"
import { type BreakerView, publishedView, worseView } from "../platform/outbound/breaker-view.ts"
import { TARGETS, type Target } from "../platform/outbound/policy.ts"
import type { Services } from "../platform/services.ts"
import type { Check } from "./check.ts"

/** One check for each side. What is left alone is a warning and no failure: its work waits. */
export const integrations: readonly Check[] = TARGETS.map((target) => ({
  name: `${target}:breaker`,
  componentType: "component",
  observedUnit: "state",
  whenAway: "warn",
  detailsWhenAway: {},
  async measure(services, now) {
    if (!isConfigured(services, target)) return { status: "pass", observedValue: "not_configured" }
    const { state, since, until, failures, reason } = await stateOf(services, target, now)
    const status = state === "closed" ? "pass" : "warn"
    return { status, observedValue: state, beside: { since, until, failures, reason } }
  },
}))

/** The whole in one figure: how many sides are left alone. */
export const brokenIntegrations: Check = {
  name: "integrations:broken",
  componentType: "component",
  observedUnit: "integrations",
  whenAway: "warn",
  detailsWhenAway: {},
  async measure(services, now) {
    const configured = TARGETS.filter((target) => isConfigured(services, target))
    const views = await Promise.all(configured.map((target) => stateOf(services, target, now)))
    const broken = views.filter(({ state }) => state !== "closed").length
    return { status: broken === 0 ? "pass" : "warn", observedValue: broken }
  },
}

/** The worse of what this isolate and the others know; while Redis is away, what this one knows. */
async function stateOf({ outbound, redis }: Services, target: Target, now: Date): Promise<BreakerView> {
  const own = outbound.viewOf(target)
  const others = await publishedView(redis, target, now).catch(() => null)
  return others === null ? own : worseView(own, others)
}

function isConfigured({ channels, config }: Services, target: Target): boolean {
  switch (target) {
    case "qstash":
      return true
    case "stripe-api":
      return hasKey(config.providers.stripe)
    case "whop-api":
      return hasKey(config.providers.whop)
    default:
      return channels[target].isConfigured
  }
}

const hasKey = ({ apiKey }: Config["providers"]["stripe"]): boolean => apiKey !== null
