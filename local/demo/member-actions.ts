/** What members do with their messages: open the link, or unsubscribe with the mail program's one-click button. */
import type { ScheduledEvent } from "./event-builder.ts"
import { type Message, messagesOf, request, type World, worldNow } from "./http.ts"
import type { MemberIntention, Simulation } from "./simulation.ts"

/** The results of a day's messages. */
export interface MessageActions {
  /** Events that the provider sends after them. */
  readonly events: ScheduledEvent[]
  /** Unexpected answers, one sentence each. */
  readonly unexpected: string[]
}

/** Performs every intention for which enough messages have arrived. */
export async function actOnMessages(world: World, { intentions }: Simulation): Promise<MessageActions> {
  const actions: MessageActions = { events: [], unexpected: [] }
  if (intentions.size === 0) return actions
  const messages = await messagesOf(world)
  for (const intention of intentions) {
    const { act, messagesMin } = intention
    const own = messages.filter((message) => isFor(message, intention))
    const message = own[messagesMin - 1]
    if (!message) continue
    const url = act === "click" ? linkIn(message) : unsubscribeUrlOf(message)
    if (url === null) continue // an SMS has no one-click header
    intentions.delete(intention)
    const response = await (act === "click" ? click(url) : unsubscribe(url))
    await response.arrayBuffer()
    if (response.status >= 400) actions.unexpected.push(`a member's ${act} was answered ${response.status}`)
    else actions.events.push(...intention.then(await worldNow(world)))
  }
  return actions
}

const isFor = ({ to, at, channel }: Message, { member, since }: MemberIntention): boolean =>
  channel !== "slack" && new Date(at) >= since && [member.email, member.phone, member.customerId].includes(to)

const linkIn = ({ body }: Message): string | null => /https?:\/\/[^\s<>"]+\/r\/[A-Za-z0-9._~-]+/.exec(body)?.[0] ?? null

const unsubscribeUrlOf = ({ headers }: Message): string | null =>
  /^<([^>]+)>/.exec(headers?.["List-Unsubscribe"] ?? "")?.[1] ?? null

const click = (url: string): Promise<Response> =>
  request(url, {
    headers: { "user-agent": "Mozilla/5.0 (demo member)", accept: "text/html,*/*;q=0.8", "accept-language": "en" },
  })

/** RFC 8058. */
const unsubscribe = (url: string): Promise<Response> =>
  request(url, { method: "POST", body: new URLSearchParams({ "List-Unsubscribe": "One-Click" }) })
