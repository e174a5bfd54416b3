/** What members do with their messages: open the link, or say stop with the one click that mail programs offer. */
import type { ScheduledEvent } from "./event-builder.ts"
import { type Message, messagesOf, request, type World, worldNow } from "./http.ts"
import type { MemberIntention, Simulation } from "./simulation.ts"

/** What came of a day's messages. */
export interface MessageActions {
  readonly told: ScheduledEvent[]
  /** What was answered that should not have been, one sentence each. */
  readonly unexpected: string[]
}

/** Lets every wish come true for which there are messages enough. */
export async function actOnMessages(world: World, story: Simulation): Promise<MessageActions> {
  const acts: MessageActions = { told: [], unexpected: [] }
  if (story.wishes.size === 0) return acts
  const messages = await messagesOf(world)
  for (const wish of story.wishes) {
    const own = messages.filter((message) => isFor(message, wish))
    const message = own[wish.messagesMin - 1]
    if (!message) continue
    const url = wish.act === "click" ? linkIn(message) : unsubscribeUrlOf(message)
    if (url === null) continue // an SMS has no one-click header
    story.wishes.delete(wish)
    const response = await (wish.act === "click" ? click(url) : unsubscribe(url))
    await response.arrayBuffer()
    if (response.status >= 400) acts.unexpected.push(`a member's ${wish.act} was answered ${response.status}`)
    else acts.told.push(...wish.then(await worldNow(world)))
  }
  return acts
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
