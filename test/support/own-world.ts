/** A world for one test, whose processes and stores may fail: on free ports, with empty data, removed afterwards. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import pg from "pg"
import Stripe from "stripe"
import { startStack } from "../../local/stack.ts"
import type { World } from "../../local/world.ts"
import { ROOT } from "../steps.ts"
import { whopHeaders } from "./events/providers.ts"

const SECRETS = {
  STRIPE_WEBHOOK_SECRET: "whsec_process_failures_stripe_secret",
  WHOP_WEBHOOK_SECRET: "ws_process_failures_whop_secret_0123456789",
  ADMIN_API_KEY: "process_failures_admin_key_0123456789",
  DEFAULT_COMPANY_ID: "process_failures_company",
  ENCRYPTION_KEYS: `v1:${Buffer.alloc(32, 7).toString("base64")}`,
  TOKEN_SIGNING_KEYS: `v1:${Buffer.alloc(32, 9).toString("base64")}`,
}

/** A world with what a test needs of it. */
export interface OwnWorld extends World {
  /** Rows straight from Postgres. */
  sql<Row extends pg.QueryResultRow>(text: string): Promise<Row[]>
  /** Moves the clock; resolves when no work is pending. */
  advance(duration: string): Promise<void>
  /** Posts a signed delivery; the status, or null when nobody answered. */
  deliver(event: ProviderEvent): Promise<number | null>
}

/** A delivery as its provider has it. */
export interface ProviderEvent {
  readonly provider: "stripe" | "whop"
  readonly id: string
  readonly body: string
}

/** How long a provider waits for an answer; Stripe and Whop do not document it, Svix waits fifteen seconds. */
const ANSWER_MS_MAX = 15_000

/** Starts the world. */
export async function startOwnWorld(): Promise<OwnWorld> {
  const dataDir = mkdtempSync(join(tmpdir(), "churn-saver-process-failures-"))
  const world = await startStack({ root: ROOT, env: SECRETS, dataDir, controlPort: 0, logLevel: "none" })
  return {
    ...world,
    async sql(text) {
      const client = new pg.Client({ connectionString: world.postgres().adminUrl })
      await client.connect()
      try {
        return (await client.query(text)).rows
      } finally {
        await client.end()
      }
    },
    async advance(duration) {
      const response = await fetch(`${world.controlUrl}/clock`, {
        method: "POST",
        body: JSON.stringify({ advance: duration }),
      })
      if (!response.ok) throw new Error(`the clock answered ${response.status}: ${await response.text()}`)
      await response.arrayBuffer()
    },
    async deliver(event) {
      try {
        const response = await fetch(`${world.workerUrl}/api/webhooks/${event.provider}`, {
          method: "POST",
          body: event.body,
          headers: await signed(event, world.clock.now()),
          signal: AbortSignal.timeout(ANSWER_MS_MAX),
        })
        await response.arrayBuffer()
        return response.status
      } catch {
        return null
      }
    },
    async stop() {
      await world.stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

async function signed({ provider, id, body }: ProviderEvent, now: Date): Promise<Record<string, string>> {
  const timestamp = Math.floor(now.getTime() / 1000)
  if (provider === "stripe") {
    const secret = SECRETS.STRIPE_WEBHOOK_SECRET
    return {
      "stripe-signature": await Stripe.webhooks.generateTestHeaderStringAsync({ payload: body, secret, timestamp }),
    }
  }
  return whopHeaders({ id, body, timestamp, secret: SECRETS.WHOP_WEBHOOK_SECRET })
}

/** Delivers like a provider: at once, then by its retry schedule until the answer is 2xx. */
export class Sender {
  readonly #world: OwnWorld
  readonly #waitsMs: readonly number[]
  readonly #waiting: { readonly event: ProviderEvent; readonly tries: number; readonly dueMs: number }[] = []
  /** Events that the provider gave up. */
  readonly givenUp: ProviderEvent[] = []
  readonly acknowledged = new Set<string>()
  deliveries = 0

  /** `waitsMs`: before the first retry, the second, and so on; after the last retry the provider gives up. */
  constructor(world: OwnWorld, waitsMs: readonly number[]) {
    this.#world = world
    this.#waitsMs = waitsMs
  }

  async send(event: ProviderEvent, tries = 0): Promise<void> {
    this.deliveries += 1
    const status = await this.#world.deliver(event)
    if (status !== null && status >= 200 && status < 300) {
      this.acknowledged.add(event.id)
      return
    }
    const waitMs = this.#waitsMs[tries]
    if (waitMs === undefined) this.givenUp.push(event)
    else this.#waiting.push({ event, tries: tries + 1, dueMs: this.#world.clock.now().getTime() + waitMs })
  }

  /** Sends again what is due. */
  async retryDue(): Promise<void> {
    const nowMs = this.#world.clock.now().getTime()
    const due = this.#waiting.filter(({ dueMs }) => dueMs <= nowMs)
    for (const entry of due) this.#waiting.splice(this.#waiting.indexOf(entry), 1)
    await Promise.all(due.map(({ event, tries }) => this.send(event, tries)))
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0
  }
}
