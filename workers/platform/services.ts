/** What code of the Worker is given with each request: everything that comes from outside, in one object. */
import type { Db } from "../../db/client.ts"
import type { Channel } from "../../shared/channel.ts"
import type { Config } from "../../shared/config.ts"
import type { ChannelName, ProviderName } from "../../shared/domain/facts.ts"
import type { FlagFreshness, Flags } from "../../shared/flags/flags.ts"
import type { Logger } from "../../shared/observability/log.ts"
import type { Provider } from "../../shared/provider.ts"
import type { SharedLimiter } from "./limits/shared.ts"
import type { Budget } from "./outbound/budget.ts"
import type { Outbound } from "./outbound/client.ts"
import type { QstashPublisher } from "./qstash/publish.ts"
import type { makeRedis } from "./redis.ts"

export interface Services {
  readonly config: Config
  readonly db: Db
  readonly redis: ReturnType<typeof makeRedis>
  /**
   * Switches and feature flags of this moment. With `isFreshNeeded`, none older than five seconds while a store answers;
   * with `isImmediate`, as Redis has them now, for the last look before an effect.
   */
  readonly flags: (need?: FlagFreshness) => Promise<Flags>
  /** Counts against a limit over all isolates; null while Redis does not say. */
  readonly sharedLimit: SharedLimiter
  readonly qstash: QstashPublisher
  readonly providers: Readonly<Record<ProviderName, Provider>>
  readonly channels: Readonly<Record<ChannelName, Channel>>
  /** The one way to other sides, and what is known of them. */
  readonly outbound: Outbound
  /** How many calls to the outside this invocation may still make. */
  readonly budget: Budget
  readonly log: Logger
  readonly now: () => Date
  /** A fresh random id, for leases and runs; never for anything that must come out the same twice. */
  readonly newId: () => string
  /** Work that goes on after the answer. */
  readonly waitUntil: (work: Promise<unknown>) => void
}

/** What a Worker is given with each request. */
export type Env = Record<string, unknown>

/** Hono's view of a request: its services, its id, and who asks once that is known. */
export interface AppEnv {
  Bindings: Env
  Variables: { services: Services; requestId: string; principal: Principal }
}

/** Who calls the API: a key with a role, and the company it may see. The deployment's own key is the operator's. */
export interface Principal {
  readonly keyId: string
  readonly role: "success-analyst" | "success-manager" | "admin" | "operator"
  readonly companyId: string
}
