/**
 * Everything that comes from outside, in one object: the only place that builds clients. Clients live as long as the
 * request; configuration and small caches live as long as the isolate.
 */
import { type Db, makeDb } from "../db/client.ts"
import { type Config, parseConfig } from "../shared/config.ts"
import type { ChannelName, ProviderName } from "../shared/domain/facts.ts"
import { newSwitchMemory, readSetSwitches, readSwitches, type Switches } from "../shared/flags.ts"
import { createLogger, type Logger } from "../shared/log.ts"
import type { Channel } from "./channels/channel.ts"
import { dmChannel } from "./channels/dm.ts"
import { emailChannel } from "./channels/email.ts"
import { pushChannel } from "./channels/push.ts"
import { slackChannel } from "./channels/slack.ts"
import { smsChannel } from "./channels/sms.ts"
import { clockOffsetMs } from "./clock.ts"
import type { Provider } from "./providers/provider.ts"
import { stripeProvider } from "./providers/stripe/index.ts"
import { whopProvider } from "./providers/whop/index.ts"
import { type QstashPublisher, qstashPublisher } from "./qstash/publish.ts"
import { makeRedis } from "./redis.ts"

export interface Services {
  readonly config: Config
  readonly db: Db
  readonly redis: ReturnType<typeof makeRedis>
  /** The switches of this moment; with `isFreshNeeded`, none older than five seconds while Redis answers. */
  readonly switches: (need?: { readonly isFreshNeeded: boolean }) => Promise<Switches>
  readonly qstash: QstashPublisher
  readonly providers: Readonly<Record<ProviderName, Provider>>
  readonly channels: Readonly<Record<ChannelName, Channel>>
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

/** Builds the services of one request. Throws, naming every fault, when the environment is not complete. */
export async function makeServices(
  env: Env,
  waitUntil: (work: Promise<unknown>) => void,
  requestId: string,
): Promise<Services> {
  const config = configOf(env)
  const offsetMs = await clockOffsetMs(config)
  const now = () => new Date(Date.now() + offsetMs)
  const log = createLogger({ now, fields: { requestId } })
  // Most requests never ask Redis, and making the client is a good part of what a refused delivery costs.
  let client: ReturnType<typeof makeRedis> | null = null
  const redis = () => {
    client ??= makeRedis(config.redis)
    return client
  }
  return {
    config,
    db: makeDb(config.database),
    get redis() {
      return redis()
    },
    switches: async ({ isFreshNeeded } = { isFreshNeeded: false }) => {
      const read = () => readSetSwitches(redis())
      const sources = { memory: switchMemory, defaults: config.switchDefaults, read, now, waitUntil }
      return (await readSwitches(sources, isFreshNeeded)).switches
    },
    qstash: qstashPublisher(config.qstash),
    providers: {
      stripe: stripeProvider(config.providers.stripe),
      whop: whopProvider({
        ...config.providers.whop,
        companyId: config.channels.whop.companyId,
        webhookUrl: `${config.appUrl}/api/webhooks/whop`,
      }),
    },
    channels: makeChannels(config),
    log,
    now,
    newId: () => crypto.randomUUID(),
    waitUntil,
  }
}

const makeChannels = ({ channels, providers, environment }: Config): Services["channels"] => ({
  email: emailChannel(channels.sendgrid),
  sms: smsChannel(channels.twilio),
  push: pushChannel({ ...providers.whop, experienceId: channels.whop.experienceId }),
  dm: dmChannel({ ...providers.whop, companyId: channels.whop.companyId }),
  slack: slackChannel({
    webhookUrl: channels.slack.webhookUrl,
    apiUrl:
      environment === "local" && channels.slack.webhookUrl ? new URL(channels.slack.webhookUrl).origin : SLACK_URL,
  }),
})

/** The one host that alerts to the team go to. */
const SLACK_URL = "https://hooks.slack.com"

/** What the isolate remembers of the switches, so that a webhook need not wait for Redis. */
const switchMemory = newSwitchMemory()

/** The environment of an isolate never changes, so it is parsed once. */
const parsed = new WeakMap<Env, Config>()

function configOf(env: Env): Config {
  const config = parsed.get(env) ?? parseConfig(env)
  parsed.set(env, config)
  return config
}
