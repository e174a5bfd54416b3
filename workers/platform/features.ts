/**
 * Flags by OpenFeature, the vendor-neutral API: `targetingKey` is the company. The provider evaluates what the isolate read
 * last and does no I/O of its own, so that nothing of one request is awaited by another; `features` reads first.
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

/** A provider over a reading of our flags, which are all booleans. */
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

// How an evaluation went is in its details. The SDK's own log would quote errors as they are.
const silent = () => {}
OpenFeature.setLogger({ error: silent, warn: silent, info: silent, debug: silent })
OpenFeature.setProvider(flagProvider(latestFlags))
const client = OpenFeature.getClient()

/** OpenFeature's client, over flags that were read as exactly as asked for. */
export async function features({ flags }: Pick<Services, "flags">, need?: FlagFreshness): Promise<Client> {
  await flags(need)
  return client
}
