/**
 * The only place that builds clients. Clients live as long as the request; configuration and small caches live as long
 * as the isolate.
 */
import { makeDb } from "../db/client.ts"
import { type Config, parseConfig } from "../shared/config.ts"
import { BoundedMap } from "../shared/network/rate-limit.ts"
import { createLogger } from "../shared/observability/log.ts"
import { dmChannel } from "./messaging/dm.ts"
import { emailChannel } from "./messaging/email.ts"
import { openRouterModel } from "./messaging/openrouter.ts"
import { pushChannel } from "./messaging/push.ts"
import { slackChannel } from "./messaging/slack.ts"
import { smsChannel } from "./messaging/sms.ts"
import {
  type ChannelCredentials,
  companyCredentials,
  deploymentCredentials,
  slackOrigin,
} from "./platform/channel-credentials.ts"
import { clockOffsetMs } from "./platform/clock.ts"
import { accessOf } from "./platform/credentials.ts"
import { readCurrentFlags } from "./platform/flags.ts"
import { sharedLimiter } from "./platform/limits/shared.ts"
import { publishView } from "./platform/outbound/breaker-view.ts"
import { createBudget } from "./platform/outbound/budget.ts"
import { type Breakers, makeOutbound, type Outbound } from "./platform/outbound/client.ts"
import { qstashPublisher } from "./platform/qstash/publish.ts"
import { makeRedis } from "./platform/redis.ts"
import type { Channels, Env, Services } from "./platform/services.ts"
import { stripeProvider } from "./providers/stripe/index.ts"
import { whopProvider } from "./providers/whop/index.ts"

/** Builds the services of one request. Throws an error that names every fault when the environment is invalid. */
export async function makeServices(
  env: Env,
  waitUntil: (work: Promise<unknown>) => void,
  requestId: string,
): Promise<Services> {
  const config = configOf(env)
  const budget = createBudget(config.subrequestsMax)
  const { spend } = budget
  const offsetMs = await clockOffsetMs(config, spend)
  const now = () => new Date(Date.now() + offsetMs)
  const log = createLogger({ now, fields: { requestId } })
  // Most requests use few of these, and building all of them costs more than refusing a delivery.
  const redis = lazy(() => makeRedis(config.redis, spend))
  const outbound = lazy(() =>
    makeOutbound({
      ...{ breakers, budget, log, now, waitUntil },
      random: () => Math.random(),
      pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      publish: (target, view) => publishView(redis(), target, view),
      send: (input, init) => fetch(input, init),
    }),
  )
  const db = lazy(() => makeDb({ ...config.database, spend }))
  const qstash = lazy(() =>
    qstashPublisher({
      ...config.qstash,
      fetch: outbound().fetchFor("qstash"),
      fetchPastBreaker: outbound().fetchFor("qstash", { isPastBreaker: true }),
    }),
  )
  const stripe = lazy(() =>
    stripeProvider({
      ...config.providers.stripe,
      fetchFor: (companyId) => outbound().fetchFor("stripe-api", { companyId }),
    }),
  )
  const whop = lazy(() =>
    whopProvider({
      ...config.providers.whop,
      webhookUrl: `${config.appUrl}/api/webhooks/whop`,
      fetchFor: (companyId) => outbound().fetchFor("whop-api", { companyId }),
    }),
  )
  const channels = lazy(() => makeChannels(config, deploymentCredentials(config), outbound()))
  const services: Services = {
    config,
    get db() {
      return db()
    },
    get redis() {
      return redis()
    },
    flags: (need) => readCurrentFlags(services, need),
    sharedLimit: sharedLimiter({ redis, keys: config.keys.tokenSigning, platformNow: () => Date.now() }),
    get qstash() {
      return qstash()
    },
    providers: {
      get stripe() {
        return stripe()
      },
      get whop() {
        return whop()
      },
    },
    get channels() {
      return channels()
    },
    async channelsFor(companyId) {
      const credentials = companyCredentials(config, await accessOf(services, companyId), companyId)
      return makeChannels(config, credentials, outbound())
    },
    get textModel() {
      const { apiKey, ...options } = config.openRouter
      return apiKey === null ? null : openRouterModel({ ...options, apiKey, fetch: outbound().fetchFor("openrouter") })
    },
    get outbound() {
      return outbound()
    },
    budget,
    log,
    now,
    newId: () => crypto.randomUUID(),
    waitUntil,
  }
  return services
}

/** The result of `make`, which is called once, and only when it is needed. */
function lazy<T extends object>(make: () => T): () => T {
  let made: T | null = null
  return () => {
    made ??= make()
    return made
  }
}

function makeChannels(
  config: Config,
  { sendgrid, twilio, slack, whop }: ChannelCredentials,
  { fetchFor }: Outbound,
): Channels {
  const { channels, providers } = config
  const { apiUrl } = providers.whop
  return {
    email: emailChannel({ ...sendgrid.values, apiUrl: channels.sendgrid.apiUrl, fetch: fetchFor("email", sendgrid) }),
    sms: smsChannel({ ...twilio.values, apiUrl: channels.twilio.apiUrl, fetch: fetchFor("sms", twilio) }),
    push: pushChannel({ ...whop.values, apiUrl, fetch: fetchFor("push", whop) }),
    dm: dmChannel({ ...whop.values, apiUrl, fetch: fetchFor("dm", whop) }),
    slack: slackChannel({
      ...slack.values,
      apiUrl: slackOrigin(config),
      fetch: fetchFor("slack", slack),
    }),
  }
}

/** A few services for each company with credentials of its own; one that is evicted is closed again. */
const BREAKERS_MAX = 5_000

/** Circuit breakers are per isolate, so that later requests do not wait for a service that is down. */
const breakers: Breakers = new BoundedMap(BREAKERS_MAX)

/** The environment of an isolate never changes, so it is parsed once. */
const parsed = new WeakMap<Env, Config>()

function configOf(env: Env): Config {
  const config = parsed.get(env) ?? parseConfig(env)
  parsed.set(env, config)
  return config
}
