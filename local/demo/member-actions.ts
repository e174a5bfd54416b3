/** What members do with their messages: open the link, or unsubscribe with the mail program's one-click button. */
import { after, type ScheduledEvent } from "./events/event-builder.ts"
import { type Message, request, type World, worldNow } from "./http.ts"
import type { Member } from "./members.ts"
import type { MemberIntention, Simulation } from "./simulation.ts"

/** The results of a day's messages. */
export interface MessageActions {
  /** Events that the provider sends after them. */
  readonly events: ScheduledEvent[]
  /** Unexpected answers, one sentence each. */
  readonly unexpected: string[]
}

/** Performs every intention for which enough messages have arrived. */
export async function actOnMessages(
  world: World,
  { intentions }: Simulation,
  messages: readonly Message[],
): Promise<MessageActions> {
  const actions: MessageActions = { events: [], unexpected: [] }
  for (const intention of intentions) {
    const { act, messagesMin } = intention
    const own = messages.filter((message) => isFor(message, intention))
    const message = own[messagesMin - 1]
    if (!message) continue
    const url = act === "click" ? linkIn(message) : unsubscribeUrlOf(message)
    if (url === null) continue // an SMS has no one-click header
    intentions.delete(intention)
    const here = atWorker(world, url)
    const response = await (act === "click" ? click(here) : unsubscribe(here))
    await response.arrayBuffer()
    if (response.status >= 400) actions.unexpected.push(`a member's ${act} was answered ${response.status}`)
    // A second later, since the providers' times have whole seconds.
    else actions.events.push(...intention.eventsAfter(after(await worldNow(world), 1)))
  }
  return actions
}

const isFor = (message: Message, { member, since }: MemberIntention): boolean =>
  new Date(message.at) >= since && isTo(message, member)

/** Whether a message went to this member. */
export const isTo = ({ to, channel }: Message, { email, phone, customerId }: Member): boolean =>
  channel !== "slack" && [email, phone, customerId].includes(to)

const linkIn = ({ body }: Message): string | null => /https?:\/\/[^\s<>"]+\/r\/[A-Za-z0-9._~-]+/.exec(body)?.[0] ?? null

const unsubscribeUrlOf = ({ headers }: Message): string | null =>
  /^<([^>]+)>/.exec(headers?.["List-Unsubscribe"] ?? "")?.[1] ?? null

/** A link of a company's own domain leads to the Worker, as its DNS record would. */
const atWorker = ({ workerUrl }: World, url: string): string => `${workerUrl}${new URL(url).pathname}`

const click = (url: string): Promise<Response> =>
  request(url, {
    headers: { "user-agent": "Mozilla/5.0 (demo member)", accept: "text/html,*/*;q=0.8", "accept-language": "en" },
  })

/** RFC 8058. */
const unsubscribe = (url: string): Promise<Response> =>
  request(url, { method: "POST", body: new URLSearchParams({ "List-Unsubscribe": "One-Click" }) })
