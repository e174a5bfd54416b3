/** Starts and stops all parts of the local world. Over 300 lines because their order is one list. */
import { join } from "node:path"
import { createMailbox, type Mailbox } from "./channels/mailbox.ts"
import { startSendgrid } from "./channels/sendgrid.ts"
import { startSlack } from "./channels/slack.ts"
import { startTwilio } from "./channels/twilio.ts"
import { advance, waitUntilDone, waitUntilRequestsDone } from "./control/advance.ts"
import { CONTROL_PORT, startControl } from "./control/control.ts"
import { createStats, type Stats } from "./control/stats.ts"
import { createFaults, type Faults } from "./faults.ts"
import { freePort, LOOPBACK } from "./loopback.ts"
import { ownKeys } from "./own-key.ts"
import { waitForPreviousServer } from "./postgres/launch.ts"
import { startNeonProxy } from "./postgres/neon-proxy.ts"
import { type Postgres, startPostgres } from "./postgres/server.ts"
import { startCronTicker } from "./processes/cron-ticker.ts"
import { emptyDataDir, lockDataDir } from "./processes/data-dir.ts"
import { superviseProcess } from "./processes/supervise.ts"
import type { RunningWorker } from "./processes/worker.ts"
import { type ProviderApiServer, startStripeApi } from "./provider-apis/stripe.ts"
import { startWhopApi } from "./provider-apis/whop.ts"
import { type Qstash, type QstashOptions, startQstash } from "./qstash/server.ts"
import { startRedis } from "./redis/server.ts"
import { startOpenRouter } from "./text-model/openrouter.ts"
import { createClock, type VirtualClock } from "./time/clock.ts"
import { createHeartbeats, type RunningHeartbeats } from "./time/heartbeats.ts"
import { openSecrets } from "./variables/secrets.ts"
import { workerVars, worldSecrets } from "./variables/world-vars.ts"

/** The options of a world. */
export type WorldOptions = {
  /** The directory of all the world's data. */
  readonly dataDir: string
  /** Starts with an empty data directory. One that another world uses is refused and not changed. */
  readonly fresh?: boolean
  /** Default: a free one. */
  readonly workerPort?: number
  /** Default 8788; 0 for a free one. */
  readonly controlPort?: number
  readonly startWorker: (vars: Record<string, string>, at: { readonly port: number }) => Promise<RunningWorker>
  /** Runs the migrations. */
  readonly migrate: (adminUrl: string) => Promise<void>
  /** Empties all tables, for `POST /reset`. */
  readonly emptyDatabase: (adminUrl: string) => Promise<void>
  /** The Worker's cron triggers; `readCrons` reads them from wrangler.toml. */
  readonly crons?: readonly string[]
  /** Stores nothing for a later start but Postgres' data. */
  readonly isTemporary?: boolean
  /** By default live. */
  readonly heartbeats?: RunningHeartbeats
  /** The time of day in UTC, as "10:30:00", at which the clock starts; by default that of the machine. */
  readonly startTime?: string
  /** Variables in addition to the world's own, or in place of them. */
  readonly vars?: Readonly<Record<string, string>>
  /** Repeats deliveries; see `QstashOptions`. */
  readonly duplicates?: QstashOptions["duplicates"]
}

/** A running world. */
export type World = {
  readonly workerUrl: string
  readonly controlUrl: string
  readonly adminApiKey: string
  readonly clock: VirtualClock
  readonly faults: Faults
  readonly mailbox: Mailbox
  readonly stats: Stats
  /** The running server: after a kill it is restarted on the same port. */
  readonly postgres: () => Postgres
  /** The running Worker, restarted likewise. */
  readonly worker: () => RunningWorker
  readonly qstash: Qstash
  readonly stripe: ProviderApiServer
  readonly whop: ProviderApiServer
  /** The Worker's variables. */
  readonly vars: Readonly<Record<string, string>>
  /** Stops the Worker, then its services. May be called twice. */
  stop(): Promise<void>
}

/** A world for tests starts again so much later: the Worker still has the switches and breakers of the test before. */
const SWITCHES_CACHED_MS = 6_000
const BREAKERS_OPEN_MS = 16_000

/** The role the Worker connects as: bound by row-level security. */
const WORKER_ROLE = "churn_worker"

/**
 * Starts Postgres, the local replacements, the control server and the Worker, in order of their dependencies, and
 * resolves when the Worker accepts requests. When a part fails to start, the earlier ones are stopped. Rejects with
 * `DataDirInUse` when another world uses the data directory.
 */
export async function startWorld(options: WorldOptions): Promise<World> {
  const { dataDir } = options
  const parts = createStack()
  try {
    await parts.start(Promise.resolve(lockDataDir(dataDir)))
    if (options.fresh) {
      // The server of a killed world is shutting down.
      await waitForPreviousServer(join(dataDir, "postgres"))
      emptyDataDir(dataDir)
    }
    const file = (name: string): string => join(dataDir, name)
    const fileOfState = (name: string): string | undefined => (options.isTemporary ? undefined : file(name))
    const stats = createStats()
    const clock = createClock({ file: fileOfState("clock.json"), startTime: options.startTime })
    const heartbeats = createHeartbeats(options.heartbeats)
    const faults = createFaults({ onTurnedAway: (target) => stats.count(`${target}-turned-away`) })
    const mailbox = createMailbox(clock.now)
    const secrets = openSecrets(file("secrets.json"))
    const known = worldSecrets(secrets)
    const common = { mailbox, faults, now: clock.now }

    const server = await parts.start(
      superviseProcess<Postgres>((previous) =>
        startPostgres({ dataDir: file("postgres"), ...(previous && { port: previous.port }) }),
      ),
    )
    const postgres = server.current()
    await options.migrate(postgres.adminUrl)
    const neon = await parts.start(startNeonProxy({ postgres, faults, onRequest: () => stats.count("postgres") }))
    const redis = await parts.start(
      startRedis({
        token: known.redisToken,
        faults,
        now: () => clock.now().getTime(),
        snapshotFile: fileOfState("redis.json"),
        onRequest({ commands }) {
          stats.count("redis")
          stats.count("redis-commands", commands)
        },
      }),
    )
    const qstash = await parts.start(
      startQstash({
        clock,
        faults,
        heartbeats,
        token: known.qstashToken,
        currentSigningKey: known.currentSigningKey,
        nextSigningKey: known.nextSigningKey,
        stateFile: fileOfState("qstash.json"),
        onRequest: () => stats.count("qstash"),
        onDelivery: () => stats.count("qstash-deliveries"),
        ...(options.duplicates ? { duplicates: options.duplicates } : {}),
      }),
    )
    const stripe = await parts.start(
      startStripeApi({ ...common, apiKey: known.stripeApiKey, onRequest: () => stats.count("stripe-api") }),
    )
    const whop = await parts.start(startWhopApi({ ...common, apiKey: known.whopApiKey, onRequest: stats.count }))
    const sendgrid = await parts.start(
      startSendgrid({ ...common, apiKey: known.sendgridApiKey, onRequest: () => stats.count("email") }),
    )
    const twilio = await parts.start(
      startTwilio({
        ...common,
        accountSid: known.twilioAccountSid,
        authToken: known.twilioAuthToken,
        onRequest: () => stats.count("sms"),
      }),
    )
    const slack = await parts.start(
      startSlack({ ...common, path: known.slackPath, onRequest: () => stats.count("slack") }),
    )
    const openRouter = await parts.start(
      startOpenRouter({ faults, apiKey: known.openRouterApiKey, onRequest: () => stats.count("openrouter") }),
    )

    const workerPort = options.workerPort ?? (await freePort())
    const workerUrl = `http://${LOOPBACK}:${workerPort}`
    /** Null until the Worker has started. */
    let scheduledUrl: () => string | null = () => null
    const cron = await parts.start(
      Promise.resolve(
        startCronTicker({
          crons: options.crons ?? [],
          clock,
          scheduledUrl: () => scheduledUrl(),
          heartbeats,
          isOn: qstash.isMissed,
        }),
      ),
    )

    let aheadMs = 0
    async function reset(): Promise<void> {
      const hadFaults = faults.clear()
      if (options.startTime !== undefined) aheadMs += hadFaults ? BREAKERS_OPEN_MS : SWITCHES_CACHED_MS
      heartbeats.reset()
      qstash.clear()
      await qstash.idle()
      // Running work would write into the emptied world.
      await waitUntilRequestsDone({ faults, workerUrl: () => workerUrl })
      await options.emptyDatabase(postgres.adminUrl)
      await flushRedis(redis)
      stripe.clear()
      whop.clear()
      clock.reset(aheadMs)
      mailbox.clear()
      stats.clear()
    }

    const control = await parts.start(
      startControl({
        ...{ clock, faults, mailbox, stats, heartbeats, reset },
        settle: () => waitUntilDone({ qstash, cron, faults, workerUrl: () => workerUrl }),
        addresses: () => ({
          worker: workerUrl,
          stripeApi: stripe.url,
          whopApi: whop.url,
          redis: redis.url,
          qstash: qstash.url,
        }),
        ownKeys: (name) => ownKeys(vars, name),
        port: options.controlPort ?? CONTROL_PORT,
        advance: (duration) =>
          advance(
            { ...{ clock, qstash, cron, faults, heartbeats }, workerUrl: () => workerUrl, apiKey: () => adminApiKey() },
            duration,
          ),
      }),
    )

    const adminApiKey = (): string | null => vars.ADMIN_API_KEY ?? null
    const vars: Record<string, string> = {
      ...workerVars(
        {
          app: workerUrl,
          control: control.url,
          databaseUrl: postgres.url(WORKER_ROLE),
          databaseFetchEndpoint: neon.url,
          redis: redis.url,
          qstash: qstash.url,
          stripe: stripe.url,
          whop: whop.url,
          sendgrid: sendgrid.url,
          twilio: twilio.url,
          slack: slack.url,
          openRouter: openRouter.url,
        },
        secrets,
      ),
      ...options.vars,
    }
    const worker = await parts.start(
      superviseProcess(() => options.startWorker(vars, { port: workerPort }), {
        onLost: () => qstash.hold(),
        onBack: () => qstash.release(),
      }),
    )
    scheduledUrl = () => worker.current().scheduledUrl
    // Stopped before the Worker: a delivery to a stopped Worker would count as a failed attempt.
    await parts.start(Promise.resolve({ stop: async () => qstash.hold() }))
    qstash.release()

    return {
      workerUrl: worker.current().url,
      controlUrl: control.url,
      adminApiKey: vars.ADMIN_API_KEY ?? "",
      ...{ clock, faults, mailbox, stats, qstash, stripe, whop, vars },
      postgres: server.current,
      worker: worker.current,
      stop: parts.stop,
    }
  } catch (cause) {
    await parts.stop()
    throw cause
  }
}

type Stoppable = { stop(): Promise<void> }

/** Records what was started, to stop it in reverse order. */
function createStack() {
  const started: Stoppable[] = []
  let stopping: Promise<void> | null = null

  async function stopAll(): Promise<void> {
    const failures: unknown[] = []
    for (const part of started.reverse()) await part.stop().catch((cause: unknown) => failures.push(cause))
    if (failures.length > 0) throw new AggregateError(failures, "not everything of the local world could be stopped")
  }

  return {
    async start<T extends Stoppable>(starting: Promise<T>): Promise<T> {
      const part = await starting
      started.push(part)
      return part
    },
    stop(): Promise<void> {
      stopping ??= stopAll()
      return stopping
    },
  }
}

async function flushRedis({ url, token }: { readonly url: string; readonly token: string }): Promise<void> {
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(["FLUSHALL"]),
  })
  if (!response.ok) throw new Error(`Redis could not be emptied: ${response.status} ${await response.text()}`)
}
