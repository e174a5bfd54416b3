/** What the billing provider does not know: weekly usage, and complaints of members whose usage falls. */
import { z } from "zod"
import { callApi, type World } from "./http.ts"
import type { Member } from "./members.ts"
import type { Random } from "./random.ts"

/** Weeks of usage before the demo, as an import would bring them. */
const WEEKS_BEFORE = 8
const WEEK_DAYS = 7
/** The API's limit. */
const BATCH_MAX = 100

/** The share of their habit that fading members still have, in the weeks up to the first of the demo; then nothing. */
const FADING = [0.6, 0.25, 0.05, 0] as const
const COMPLAINT_DAYS = [-20, -12, -4] as const

const answer = z.object({ data: z.array(z.object({ status: z.string() })) })

export interface UsageParts {
  readonly random: Random
  readonly stamp: string
  readonly members: readonly Member[]
  /** Fading members who came back. */
  readonly returned: ReadonlySet<Member>
  readonly at: (day: number, second: number) => Date
}

export interface UsageReports {
  /** How many were recorded so far. */
  readonly recorded: () => number
  /** Sends what has become known by this day. */
  send(day: number): Promise<void>
}

interface Report {
  readonly id: string
  readonly customerId: string
  readonly occurredAt: string
  readonly [field: string]: unknown
}

/** The usage of a company's members, sent by the company. */
export function createUsageReports(world: World, parts: UsageParts): UsageReports {
  const { random, stamp, members, returned, at } = parts
  const habits = new Map(members.map((member) => [member, random.int(8, 30)]))
  let recorded = 0
  /** Refused because the provider's events of the customer are late. */
  let waiting: { readonly path: string; readonly report: Report }[] = []

  function weekOf(member: Member, week: number): Report | null {
    const day = week * WEEK_DAYS
    const variation = 0.8 + 0.4 * random.next()
    if (member.signUpDay > day || member.role.kind === "never_paid") return null
    const share = member.role.kind === "fades" && !returned.has(member) ? fadingShare(week) : 1
    const quantity = Math.round((habits.get(member) ?? 0) * share * variation)
    if (quantity === 0) return null
    return {
      id: `use-${stamp}-${member.number}-${week}`,
      ...{ customerId: member.customerId, meter: "visits", quantity, occurredAt: at(day, 0).toISOString() },
    }
  }

  const complaintsOf = (member: Member): Report[] =>
    COMPLAINT_DAYS.map((day, index) => {
      const ticketId = `ticket-${stamp}-${member.number}-${index}`
      return {
        ...{ kind: "ticket_opened", id: ticketId, ticketId, customerId: member.customerId },
        ...{ sentiment: "negative", occurredAt: at(day, 0).toISOString() },
      }
    })

  async function post(path: string, name: string, reports: readonly Report[]): Promise<void> {
    for (let from = 0; from < reports.length; from += BATCH_MAX) {
      const batch = reports.slice(from, from + BATCH_MAX)
      const { data } = answer.parse(await callApi(world, path, { method: "POST", body: { [name]: batch } }))
      for (const [index, report] of batch.entries()) {
        if (data[index]?.status === "recorded") recorded += 1
        else if (data[index]?.status === "refused") waiting.push({ path, report })
      }
    }
  }

  return {
    recorded: () => recorded,
    async send(day) {
      const late = waiting
      waiting = []
      const weeks =
        day === 0 ? Array.from({ length: WEEKS_BEFORE }, (_, index) => index + 1 - WEEKS_BEFORE) : [day / WEEK_DAYS]
      const isDue = day % WEEK_DAYS === 0
      const usage = isDue ? weeks.flatMap((week) => members.flatMap((member) => weekOf(member, week) ?? [])) : []
      const complaints = day === 0 ? members.filter(({ role }) => role.kind === "fades").flatMap(complaintsOf) : []
      const lateOf = (path: string) => late.filter((one) => one.path === path).map(({ report }) => report)
      await post("/api/usage", "records", [...lateOf("/api/usage"), ...usage])
      await post("/api/signals", "signals", [...lateOf("/api/signals"), ...complaints])
    },
  }
}

/** Week 0 is that of the demo's first day. */
const fadingShare = (week: number): number => (week <= -FADING.length ? 1 : (FADING[week + FADING.length - 1] ?? 0))
