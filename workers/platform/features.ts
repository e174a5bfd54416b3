/**
 * Flags through OpenFeature, the vendor-neutral API: `targetingKey` is the company. The provider evaluates the flags
 * that the isolate read last and does no I/O, so that no request awaits a promise of another; `features` reads first.
 */
import {
  type Client,
  type EvaluationContext,
  FlagNotFoundError,
  OpenFeature,
  type Provider,
  ProviderNotReadyError,
  type ResolutionDetails,
  StandardResolutionReasons,
  TargetingKeyMissingError,
  TypeMismatchError,
} from "@openfeature/server-sdk"
import { type Evaluation, FLAG_NAMES } from "../../shared/domain/flags.ts"
import type { FlagFreshness, Flags } from "../../shared/flags/flags.ts"
import { latestFlags } from "./flags.ts"
import type { Services } from "./services.ts"

const REASONS = {
  disabled: StandardResolutionReasons.DISABLED,
  denied: StandardResolutionReasons.TARGETING_MATCH,
  allowed: StandardResolutionReasons.TARGETING_MATCH,
  everybody: StandardResolutionReasons.STATIC,
  nobody: StandardResolutionReasons.STATIC,
  share: StandardResolutionReasons.SPLIT,
} as const satisfies Record<Evaluation["because"], string>

/** A provider over the current flags, which are all booleans. */
export function flagProvider(current: () => Flags | null): Provider {
  const mismatch = async (): Promise<never> => {
    throw new TypeMismatchError("our flags are booleans")
  }
  return {
    metadata: { name: "churn-saver" },
    runsOn: "server",
    resolveBooleanEvaluation: async (key, _, context) => resolve(current(), key, context),
    resolveStringEvaluation: mismatch,
    resolveNumberEvaluation: mismatch,
    resolveObjectEvaluation: mismatch,
  }
}

function resolve(flags: Flags | null, key: string, { targetingKey }: EvaluationContext): ResolutionDetails<boolean> {
  const name = FLAG_NAMES.find((candidate) => candidate === key)
  if (name === undefined) throw new FlagNotFoundError("there is no such flag")
  if (flags === null) throw new ProviderNotReadyError("the flags were not read yet")
  if (targetingKey === undefined) throw new TargetingKeyMissingError("targetingKey names the company")
  const { isOn, because } = flags.evaluate(name, targetingKey)
  const isStale = flags.source === "remembered" || flags.source === "safe_default"
  return {
    value: isOn,
    variant: isOn ? "on" : "off",
    reason: isStale ? StandardResolutionReasons.STALE : REASONS[because],
    flagMetadata: { because, source: flags.source },
  }
}

// The result of an evaluation is in its details; the SDK's own log would write errors unredacted.
const noop = () => {}
OpenFeature.setLogger({ error: noop, warn: noop, info: noop, debug: noop })
OpenFeature.setProvider(flagProvider(latestFlags))
const client = OpenFeature.getClient()

/** OpenFeature's client, over flags of the requested freshness. */
export async function features({ flags }: Pick<Services, "flags">, need?: FlagFreshness): Promise<Client> {
  await flags(need)
  return client
}
