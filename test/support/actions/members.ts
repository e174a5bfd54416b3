/** What happens to one member: a new customer, a failed or paid payment, a message. */
import {
  envelope,
  fresh,
  type InvoiceOptions,
  invoiceEvent,
  type SendOptions,
  sendStripe,
  sendWhop,
} from "../events/providers.ts"
import {
  advanceClock,
  api,
  type MailboxMessage,
  mailbox,
  waitFor,
  waitUntilProcessed,
  worldNow,
} from "../world/world.ts"

export interface NudgeBody {
  readonly id: string
  readonly step: number | null
  readonly status: string
  readonly channel: string
  readonly reason: string | null
  readonly dueAt: string
  readonly sentAt: string | null
}

export interface CaseBody {
  readonly id: string
  readonly status: string
  readonly customerId: string
  readonly invoiceId: string
  readonly nudges: readonly NudgeBody[]
  readonly timeline: readonly (Readonly<Record<string, unknown>> & { readonly kind: string })[]
}

/** Sends the event of a new customer. */
export async function sendNewCustomer(
  customer: string,
  details: { readonly email?: string; readonly phone?: string; readonly name?: string; readonly timeZone?: string },
): Promise<void> {
  const { email = null, phone = null, name = "Ann Example", timeZone } = details
  const metadata = timeZone === undefined ? {} : { time_zone: timeZone }
  const object = { id: customer, object: "customer", name, email, phone, preferred_locales: [], metadata }
  await sendStripe(envelope("customer.created", await worldNow(), fresh("evt"), object))
}

/** Sends a failed payment of Stripe; a customer sent by `sendNewCustomer` keeps their addresses. */
export const failPayment = async (
  customer: string,
  invoice: string,
  more: Partial<InvoiceOptions> = {},
  options: SendOptions = {},
) =>
  sendStripe(
    invoiceEvent({ type: "invoice.payment_failed", at: await worldNow(), customer, invoice, ...more }),
    options,
  )

/** An invoice that carries no address of its own. */
export const WITHOUT_ADDRESS = { more: { customer_email: null, customer_name: null } } as const

export const payInvoice = async (customer: string, invoice: string) =>
  sendStripe(invoiceEvent({ type: "invoice.paid", at: await worldNow(), customer, invoice }))

/** Sends a failed payment of Whop. */
export const failWhopPayment = async (
  member: { readonly user: string; readonly membership: string; readonly payment: string },
  person: Readonly<Record<string, unknown>> = {},
) =>
  sendWhop({
    id: fresh("msg"),
    api_version: "v1",
    type: "payment.failed",
    timestamp: (await worldNow()).toISOString(),
    company_id: "biz_demo",
    data: {
      id: member.payment,
      user: { id: member.user, name: "Ben Example", username: "ben", ...person },
      membership: { id: member.membership, status: "past_due" },
      total: 29.99,
      subtotal: 29.99,
      currency: "usd",
      billing_reason: "subscription_cycle",
      payments_failed: 1,
      created_at: (await worldNow()).toISOString(),
      status: "open",
      failure_message: "insufficient_funds",
    },
  })

/** The case of an invoice, once every event that was sent is folded. */
export async function caseOf(invoice: string, key?: string): Promise<CaseBody> {
  await waitUntilProcessed()
  const init = key === undefined ? {} : { key }
  const list = await api<{ data: { id: string }[] }>(`/api/cases?invoiceId=${invoice}`, init)
  const [found] = list.body.data
  if (found === undefined) throw new Error(`no case of ${invoice}`)
  return (await api<CaseBody>(`/api/cases/${found.id}`, init)).body
}

/** A first message waits this long for an event with the decline reason. */
const REASON_WAIT = "PT6S"

/** Sends what is due and waits until `count` messages are in the mailbox; returns all of them. */
export async function messages(count: number): Promise<readonly MailboxMessage[]> {
  await waitUntilProcessed()
  if ((await mailbox()).length < count) await advanceClock(REASON_WAIT)
  return waitFor(async () => {
    const sent = await mailbox()
    return sent.length >= count ? sent : null
  })
}

/** Moves the clock to the next start of this hour in UTC. */
export async function advanceToHour(hourUtc: number): Promise<void> {
  const now = await worldNow()
  const next = new Date(now)
  next.setUTCHours(hourUtc, 0, 5, 0)
  if (next <= now) next.setUTCDate(next.getUTCDate() + 1)
  await advanceClock(`PT${Math.ceil((next.getTime() - now.getTime()) / 1_000)}S`)
}

/** The links in a message. */
export function linksIn({ body, headers }: MailboxMessage): { readonly link: string; readonly unsubscribe: string } {
  const [link] = /https?:\/\/\S+\/r\/[\w-]+/.exec(body) ?? []
  const [, unsubscribe] = /<(.+)>/.exec(headers?.["List-Unsubscribe"] ?? "") ?? []
  if (link === undefined || unsubscribe === undefined) throw new Error("a message without its links")
  return { link, unsubscribe }
}

/** The headers of a browser when a person opens a link. */
export const BROWSER = {
  "user-agent":
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 Version/19.1 Mobile Safari/604.1",
  accept: "text/html,application/xhtml+xml,*/*;q=0.8",
  "accept-language": "en-GB",
}
/** Opens a link as a member does. */
export const visit = (url: string, init: RequestInit = {}) =>
  fetch(url, { redirect: "manual", headers: BROWSER, ...init })
