/** Everything that the Worker's code gets from outside with each request, in one object. */
import type { Db } from "../../db/client.ts"
import type { Channel } from "../../shared/channel.ts"
import type { Config } from "../../shared/config.ts"
import type { ChannelName, ProviderName } from "../../shared/domain/facts.ts"
import type { FlagFreshness, Flags } from "../../shared/flags/flags.ts"
import type { Logger } from "../../shared/observability/log.ts"
import type { Provider } from "../../shared/provider.ts"
import type { TextModel } from "../../shared/text-model.ts"
import type { SharedLimiter } from "./limits/shared.ts"
import type { Budget } from "./outbound/budget.ts"
import type { Outbound } from "./outbound/client.ts"
import type { QstashPublisher } from "./qstash/publish.ts"
import type { makeRedis } from "./redis.ts"

export type Channels = Readonly<Record<ChannelName, Channel>>

export interface Services {
  readonly config: Config
  readonly db: Db
  readonly redis: ReturnType<typeof makeRedis>
  /**
   * The current switches and feature flags. With `isFreshNeeded`, at most five seconds old while a store answers; with
   * `isImmediate`, read from Redis now, for the last check before an effect.
   */
  readonly flags: (need?: FlagFreshness) => Promise<Flags>
  /** Counts against a limit over all isolates; null while Redis does not answer. */
  readonly sharedLimit: SharedLimiter
  readonly qstash: QstashPublisher
  readonly providers: Readonly<Record<ProviderName, Provider>>
  /** The deployment's own channels. Whatever is sent for a company goes through `channelsFor`. */
  readonly channels: Channels
  /** A company's channels: with its own credentials, else with the deployment's where it may use them. */
  readonly channelsFor: (companyId: string) => Promise<Channels>
  /** Drafts words for templates; null: the deployment has no key for it. */
  readonly textModel: TextModel | null
  /** All outgoing calls, and the state of their circuit breakers. */
  readonly outbound: Outbound
  /** The subrequests that this invocation may still make. */
  readonly budget: Budget
  readonly log: Logger
  readonly now: () => Date
  /** A new random id, for leases and runs; never for an id that a repetition must reproduce. */
  readonly newId: () => string
  /** Work that goes on after the answer. */
  readonly waitUntil: (work: Promise<unknown>) => void
}

/** The environment that a Worker gets with each request. */
export type Env = Record<string, unknown>

/** Hono's variables of a request: services, id, and the authenticated caller. */
export interface AppEnv {
  Bindings: Env
  Variables: { services: Services; requestId: string; principal: Principal }
}

/** Who calls the API or uses the dashboard, with a role, and the company it may see. */
export interface Principal {
  /** The key; `admin`: the deployment's own. A person who signed in is `person:<id>`. */
  readonly keyId: string
  readonly role: "success-analyst" | "success-manager" | "admin" | "operator"
  /** `NO_COMPANY` for an operator who named none, which only routes of the deployment as a whole accept. */
  readonly companyId: string
}

/** No company has this id, and the database shows no company's rows under it. */
export const NO_COMPANY = ""
