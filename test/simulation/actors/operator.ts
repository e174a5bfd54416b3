/** The person who handles what is not retried automatically, through the API. */
import type { DatabaseState } from "../world/database-state.ts"
import { APP_URL, COMPANIES } from "../world/targets.ts"
import type { World } from "../world/world.ts"

type Company = (typeof COMPANIES)[number]

/** A key of each company. */
export const API_KEYS: Readonly<Record<Company, string>> = {
  sim_north: "cs_simulated_key_of_the_north_0123456789",
  sim_south: "cs_simulated_key_of_the_south_0123456789",
}

export class Operator {
  /** Dead events that had to be replayed. */
  replayed = 0
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  /** Replays every dead event. */
  async replayDead(): Promise<void> {
    const { dead } = await this.#world.database.readOne<{ dead: Company[] | null }>(
      "SELECT array_agg(DISTINCT company_id) AS dead FROM webhook_events WHERE status = 'dead'",
    )
    for (const company of dead ?? []) void this.#replayDeadOf(company)
  }

  async #replayDeadOf(company: Company): Promise<void> {
    const list = await this.#request(company, "GET", "/api/events?status=dead&limit=200")
    const events = (list?.data ?? []) as readonly { readonly id: string }[]
    for (const { id } of events) {
      this.replayed += 1
      await this.#request(company, "POST", `/api/events/${id}/replay`)
    }
  }

  /** I10: every nudge with an unknown outcome is listed by the API. */
  async unlisted(seen: DatabaseState): Promise<string[]> {
    const faults: string[] = []
    for (const company of COMPANIES) {
      const unknown = seen.nudges.filter((nudge) => nudge.status === "unknown" && nudge.company_id === company)
      if (unknown.length === 0) continue
      const body = await this.#now(company, "/api/nudges?status=unknown&limit=200")
      const listed = (body?.data ?? []) as readonly { readonly id: string }[]
      for (const { id } of unknown) {
        if (!listed.some((nudge) => nudge.id === id)) faults.push(`I10 ${id} is unknown and not listed`)
      }
    }
    return faults
  }

  async #now(company: Company, path: string): Promise<Record<string, unknown> | null> {
    const { runtime } = this.#world
    let answer: Record<string, unknown> | null | undefined
    void this.#request(company, "GET", path).then((body) => {
      answer = body
    })
    while ((answer === undefined || runtime.live.size > 0) && (await runtime.step(Number.POSITIVE_INFINITY)));
    return answer ?? null
  }

  async #request(company: Company, method: string, path: string): Promise<Record<string, unknown> | null> {
    const answer = await this.#world.send({
      name: `operator ${method} ${path.split("?")[0]}`,
      method,
      url: `${APP_URL}${path}`,
      headers: { authorization: `Bearer ${API_KEYS[company]}` },
      body: null,
      timeoutMs: 30_000,
    })
    if (answer === null || answer.status >= 300) return null
    return JSON.parse(Buffer.from(answer.body).toString("utf8")) as Record<string, unknown>
  }
}
