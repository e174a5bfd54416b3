/**
 * The world of one run: Postgres, Redis, QStash, the providers' APIs and the channels in this process, the Worker in its
 * isolates, and one clock for all of them. Who calls whom goes through the chaos of the run.
 */
import { createMailbox, type Mailbox } from "../../../local/channels/mailbox.ts"
import { handleSendgrid } from "../../../local/channels/sendgrid.ts"
import { handleSlack } from "../../../local/channels/slack.ts"
import { handleTwilio } from "../../../local/channels/twilio.ts"
import type { VirtualClock } from "../../../local/clock.ts"
import { createFaults, type FaultTarget, type Reply, type StandInRequest } from "../../../local/faults.ts"
import { createStripeApi, type ProviderApi } from "../../../local/provider-apis/stripe.ts"
import { createWhopApi, whopTarget } from "../../../local/provider-apis/whop.ts"
import { createEngine as createQstash, type Engine as Qstash } from "../../../local/qstash/engine.ts"
import { handleQstash } from "../../../local/qstash/server.ts"
import { createEngine as createRedis, type Engine as Redis } from "../../../local/redis/engine.ts"
import { handleRedis } from "../../../local/redis/server.ts"
import type { Random } from "../random.ts"
import type { WorkerModule } from "./bundle.ts"
import type { Call } from "./call.ts"
import type { Database, Executed } from "./database.ts"
import type { Chaos } from "./faults.ts"
import { deliverer, virtualRunner } from "./qstash.ts"
import { type Answer, drainMicrotasks, type Effect, type Isolate, Runtime, type Task } from "./runtime.ts"
import type { ScheduleWorker } from "./schedule-worker.ts"
import { secret, serviceOf, VARS } from "./targets.ts"

export interface WorldOptions {
  readonly startMs: number
  readonly random: Random
  readonly chaos: Chaos
  readonly database: Database
  readonly player: ScheduleWorker
  /** Plays in the player's steady isolate. */
  readonly isSteady?: boolean
  /** At most so many isolates at once. */
  readonly isolatesMax?: number
}

/** A request to Postgres, as it was carried out. */
export interface Query extends Executed {
  readonly effect: number
  readonly task: number
  readonly isolate: number
}

/** A message that became visible, and which effect made it so. */
export interface DeliveredMessage {
  readonly effect: number
  readonly task: number
  /** What the isolate took for the time when it sent the message. */
  readonly sentAtMs: number
}

export class World {
  readonly runtime: Runtime
  readonly mailbox: Mailbox
  readonly redis: Redis
  readonly qstash: Qstash
  readonly stripe: ProviderApi
  readonly whop: ProviderApi
  readonly database: Database
  readonly trace: string[] = []
  readonly logs: string[] = []
  readonly queries: Query[] = []
  /** Beside each message of the mailbox. */
  readonly sights: DeliveredMessage[] = []
  readonly chaos: Chaos
  readonly #random: Random
  readonly #isolatesMax: number
  readonly #called = new Map<string, number>()
  /** Arrivals in the order in which the world carried them out: what the history of the database is numbered by. */
  applied = 0

  constructor({ startMs, random, chaos, database, player, isolatesMax = 2, isSteady = false }: WorldOptions) {
    this.database = database
    this.chaos = chaos
    chaos.tell = (line) => this.note(line)
    this.#random = random
    this.#isolatesMax = isolatesMax
    this.runtime = new Runtime(startMs, {
      random: random.fork("product"),
      makeIsolate: isSteady ? () => player.steady().module : player.makeIsolate,
      env: isSteady ? () => player.steady().env : () => ({ ...VARS }),
      cutOffAfterMs: () => chaos.cutOffAfterMs,
      courseOf: (effect) => this.#courseOf(effect),
      perform: (effect) => this.#perform(effect),
      trace: (line) => this.note(line),
      log: (line) => void this.logs.push(line),
    })
    player.enter(this.runtime)
    const now = (): Date => new Date(this.runtime.worldMs)
    this.mailbox = createMailbox(now)
    this.redis = createRedis(() => this.runtime.worldMs)
    this.stripe = createStripeApi({ mailbox: this.mailbox, apiKey: secret("stripe-api-key"), now })
    this.whop = createWhopApi({ mailbox: this.mailbox, apiKey: secret("whop-api-key"), now })
    this.qstash = createQstash({
      clock: worldClock(now),
      faults: createFaults(),
      signingKey: () => secret("qstash-current-signing-key"),
      deliver: deliverer((call) => this.send(call)),
      makeRunner: virtualRunner(this.runtime),
    })
    this.qstash.runner.release()
  }

  note(line: string): void {
    this.trace.push(`${new Date(this.runtime.worldMs).toISOString().slice(5, 23)} ${line}`)
  }

  /** The part of the world that an effect is about, for whoever makes it fail; null for what is no part of the outside. */
  targetOf({ url, method }: Pick<Effect, "url" | "method">): FaultTarget | null {
    const service = serviceOf(url)
    switch (service) {
      case "control":
        return null
      case "stripe":
        return "stripe-api"
      case "whop":
        return whopTarget({ method, url: url.pathname, headers: {} })
      case "sendgrid":
        return "email"
      case "twilio":
        return "sms"
      default:
        return service
    }
  }

  #courseOf(effect: Effect) {
    const target = this.targetOf(effect)
    // The clock is a seam of the local world and nothing that could fail.
    if (target === null) return { arrivesAfterMs: 0, answersAfterMs: 0, answer: null, crash: null }
    return this.chaos.course(effect, target)
  }

  async #perform(effect: Effect): Promise<Answer> {
    const { url, method, headers, body } = effect
    const service = serviceOf(url)
    if (service === "control") {
      const now = new Date(this.runtime.worldMs + this.runtime.skewOf(effect.task.isolate)).toISOString()
      return { status: 200, headers: { "content-type": "application/json" }, body: JSON.stringify({ now }) }
    }
    const number = ++this.applied
    const request: StandInRequest = { method, url: url.pathname + url.search, headers: Object.fromEntries(headers) }
    const bytes = Buffer.from(body)
    const seenBefore = this.mailbox.messages.length
    const reply = await this.#answer(service, request, bytes, number, effect.task)
    for (let place = seenBefore; place < this.mailbox.messages.length; place++) {
      const sentAtMs = effect.askedAtMs + this.runtime.skewOf(effect.task.isolate)
      this.sights.push({ effect: number, task: effect.task.id, sentAtMs })
    }
    this.note(`#${number} task ${effect.task.id} ${this.#words(service, effect)} → ${reply.status}`)
    return { ...reply, headers: reply.headers ?? {} }
  }

  async #answer(
    service: Exclude<ReturnType<typeof serviceOf>, "control">,
    request: StandInRequest,
    body: Buffer,
    number: number,
    task: Task,
  ): Promise<Reply> {
    const { mailbox } = this
    switch (service) {
      case "postgres":
        return this.database.answer(request, body, number, (executed) => {
          this.queries.push({ ...executed, effect: number, task: task.id, isolate: task.isolate.id })
        })
      case "redis":
        return handleRedis(request, body, { engine: this.redis, token: secret("redis-token") })
      case "qstash":
        return handleQstash(request, body, {
          engine: this.qstash,
          clock: worldClock(() => new Date(this.runtime.worldMs)),
          keys: { current: secret("qstash-current-signing-key"), next: secret("qstash-next-signing-key") },
          token: secret("qstash-token"),
        })
      case "stripe":
        return this.stripe.answer(request, body)
      case "whop":
        return this.whop.answer(request, body)
      case "sendgrid":
        return handleSendgrid(request, body, { mailbox, apiKey: secret("sendgrid-api-key") })
      case "twilio": {
        const [accountSid, authToken] = [secret("twilio-account-sid"), secret("twilio-auth-token")]
        return handleTwilio(request, body, { mailbox, accountSid, authToken })
      }
      case "slack":
        return handleSlack(request, body, { mailbox, path: secret("slack-path") })
    }
  }

  /** What an effect is, in words that are the same in every run of a seed. */
  #words(service: string, { method, url, body }: Effect): string {
    if (service === "postgres") {
      const named = [...body.matchAll(FUNCTIONS)].map(([, name]) => name)
      return `postgres ${[...new Set(named)].join(" ") || "statements"}`
    }
    if (service === "redis") return `redis ${/^\W*"?(\w+)/.exec(body)?.[1] ?? ""}`
    return `${service} ${method} ${url.pathname.replace(/(di|coupon|saver)_\w+/, "$1_…").slice(0, 80)}`
  }

  /** An isolate that takes a call of that name: one that is there, or a new one. */
  #isolateFor(name: string): Isolate {
    const { isolates } = this.runtime
    const before = this.#called.get(name) ?? 0
    this.#called.set(name, before + 1)
    const place = this.#random.fork(`${name} ${before}`).between(0, this.#isolatesMax - 1)
    return isolates[place] ?? this.runtime.newIsolate(this.chaos.skew())
  }

  /** Calls the Worker as the outside does. Null: no answer came, for whatever reason. */
  send(call: Call): Promise<Answer | null> {
    const { runtime, chaos } = this
    const course = chaos.inbound(call.name)
    return new Promise((resolve) => {
      let isOver = false
      const conclude = (answer: Answer | null): void => {
        if (isOver) return
        isOver = true
        this.note(`${call.name} is answered ${answer === null ? "nothing" : answer.status}`)
        resolve(answer)
      }
      const arrive = async (isCopy: boolean): Promise<void> => {
        const isolate = this.#isolateFor(call.name)
        const request = new Request(call.url, { method: call.method, headers: call.headers, body: call.body })
        const work = (module: WorkerModule, env: object, context: object) => module.fetch(request, env, context)
        await runtime.start(`${call.name}${isCopy ? " again" : ""}`, isolate, work, (answer) => {
          if (!isCopy)
            runtime.agenda.put(runtime.worldMs, "reply", () => {
              conclude(course.isReplyLost ? null : answer)
              return drainMicrotasks()
            })
        })
      }
      const { arrivesAfterMs, copiesAfterMs } = course
      if (arrivesAfterMs !== null) {
        runtime.agenda.put(runtime.worldMs + arrivesAfterMs, "inbound", () => arrive(false))
        for (const after of copiesAfterMs) {
          runtime.agenda.put(runtime.worldMs + arrivesAfterMs + after, "inbound copy", () => arrive(true))
        }
      }
      const patienceMs = arrivesAfterMs === null ? 1 : call.timeoutMs
      runtime.agenda.put(runtime.worldMs + patienceMs, "caller gives up", () => {
        conclude(null)
        return drainMicrotasks()
      })
    })
  }

  /** The platform's cron trigger. */
  async trigger(cron: string): Promise<void> {
    const work = async (module: WorkerModule, env: object, context: object): Promise<null> => {
      await module.scheduled({ cron, scheduledTime: this.runtime.worldMs, noRetry: () => undefined }, env, context)
      return null
    }
    await this.runtime.start(`cron ${cron}`, this.#isolateFor(`cron ${cron}`), work, () => undefined)
  }
}

/** Functions of the database that tell what a request is about. */
const FUNCTIONS = /\b(\w+)\((?=[^)]*\$\d)|\b(?:update|insert into|delete from) \\"(\w+)/g

const worldClock = (now: () => Date): VirtualClock => ({
  now,
  offsetMs: () => 0,
  advanceTo: () => undefined,
  advance: () => undefined,
  reset: () => undefined,
  onMove: () => undefined,
})
