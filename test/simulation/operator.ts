/** The person to whom the product leaves what it cannot settle itself: asks the API, as the dashboard does. */
import type { Seen } from "./sight.ts"
import { APP_URL, COMPANIES } from "./targets.ts"
import type { World } from "./world.ts"

type Company = (typeof COMPANIES)[number]

/** A key of each company. */
export const API_KEYS: Readonly<Record<Company, string>> = {
  sim_north: "cs_simulated_key_of_the_north_0123456789",
  sim_south: "cs_simulated_key_of_the_south_0123456789",
}

const companyOf = (id: string): Company => COMPANIES.find((company) => company === id) ?? COMPANIES[0]

export class Operator {
  /** Dead events that had to be replayed. */
  replayed = 0
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  /** Replays every event that was left to a person. */
  async replayDead(): Promise<void> {
    const { dead } = await this.#world.database.glance<{ dead: Company[] | null }>(
      "SELECT array_agg(DISTINCT company_id) AS dead FROM webhook_events WHERE status = 'dead'",
    )
    for (const company of dead ?? []) void this.#replayDeadOf(company)
  }

  async #replayDeadOf(company: Company): Promise<void> {
    const list = await this.#ask(company, "GET", "/api/events?status=dead&limit=200")
    const events = (list?.data ?? []) as readonly { readonly id: string }[]
    for (const { id } of events) {
      this.replayed += 1
      await this.#ask(company, "POST", `/api/events/${id}/replay`)
    }
  }

  /**
   * I10: every nudge of which nobody knows whether it was seen is shown to a person: with its case or, where a late fact has
   * taken the case away (a first bill is no renewal), in the counts of the summary, which is all that the API has of it.
   */
  async unlisted(seen: Seen): Promise<string[]> {
    const faults: string[] = []
    const unknown = seen.nudges.filter(({ status }) => status === "unknown")
    for (const nudge of unknown) {
      const company = companyOf(nudge.company_id)
      const hasCase = seen.cases.some(({ company_id, id }) => company_id === nudge.company_id && id === nudge.case_id)
      if (hasCase) {
        const body = await this.#now(company, `/api/cases/${encodeURIComponent(nudge.case_id)}`)
        const nudges = (body?.nudges ?? []) as readonly { readonly id: string; readonly status: string }[]
        if (nudges.some(({ id, status }) => id === nudge.id && status === "unknown")) continue
        faults.push(`I10 ${nudge.id} is unknown, and its case does not say so`)
      } else {
        const body = await this.#now(company, "/api/summary")
        const counts = (body?.nudges ?? {}) as Readonly<Record<string, { readonly unknown?: number } | undefined>>
        const alike = unknown.filter((one) => one.company_id === nudge.company_id && one.channel === nudge.channel)
        if (counts[nudge.channel]?.unknown === alike.length) continue
        faults.push(`I10 ${nudge.id} is unknown, and the summary does not count it`)
      }
    }
    return faults
  }

  async #now(company: Company, path: string): Promise<Record<string, unknown> | null> {
    const { runtime } = this.#world
    let answer: Record<string, unknown> | null | undefined
    void this.#ask(company, "GET", path).then((body) => {
      answer = body
    })
    while (answer === undefined && (await runtime.step(Number.POSITIVE_INFINITY)));
    return answer ?? null
  }

  async #ask(company: Company, method: string, path: string): Promise<Record<string, unknown> | null> {
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
