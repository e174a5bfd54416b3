/** What members do with their messages: open the link, or unsubscribe. */
import type { Plan } from "../plan.ts"
import type { Random } from "../random.ts"
import { APP_URL } from "../world/targets.ts"
import type { World } from "../world/world.ts"

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS

export class Members {
  readonly broken: string[] = []
  readonly #world: World
  readonly #random: Random
  readonly #plan: Plan
  #seen = 0

  constructor(world: World, random: Random, plan: Plan) {
    this.#world = world
    this.#random = random
    this.#plan = plan
  }

  react(): void {
    const { messages } = this.#world.mailbox
    for (; this.#seen < messages.length; this.#seen++) {
      const message = messages[this.#seen]
      const random = this.#random.fork(message?.idempotencyKey ?? "")
      const isClicked = random.chance(this.#plan.clickRate)
      const isUnwanted = random.chance(this.#plan.optOutRate)
      const afterMs = random.between(1, 300) * MINUTE_MS
      const [link] = /https?:\/\/\S+\/r\/[\w-]+/.exec(message?.body ?? "") ?? []
      const [, unsubscribe] = /<(.+)>/.exec(message?.headers?.["List-Unsubscribe"] ?? "") ?? []
      if (isClicked && link) this.#later(afterMs, () => this.#request("GET", link, 1))
      if (isUnwanted && unsubscribe) this.#later(afterMs + MINUTE_MS, () => this.#request("POST", unsubscribe, 4))
    }
  }

  #later(afterMs: number, act: () => Promise<void>): void {
    const { agenda, worldMs } = this.#world.runtime
    agenda.put(worldMs + afterMs, "member", () => void act())
  }

  /** An unsubscription that was not accepted is repeated an hour later; a failed click is not. */
  async #request(method: "GET" | "POST", url: string, tries: number): Promise<void> {
    const path = url.slice(APP_URL.length).split("/")[1] ?? ""
    const answer = await this.#world.send({
      name: `member ${method} /${path}`,
      method,
      url,
      headers: method === "POST" ? { "content-type": "application/x-www-form-urlencoded" } : {},
      body: method === "POST" ? "List-Unsubscribe=One-Click" : null,
      timeoutMs: 30 * SECOND_MS,
    })
    if (answer?.status === 500) this.broken.push(`I0 a member was answered 500 to ${path}`)
    const isAccepted = answer !== null && answer.status < 400
    if (!isAccepted && tries > 1) this.#later(HOUR_MS, () => this.#request(method, url, tries - 1))
  }
}
