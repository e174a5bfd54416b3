/** Whop's events, from the constructed fixtures, with the ids of one member in them. */
import { readFileSync } from "node:fs"

const FIXTURES = new URL("../../fixtures/whop/v1-2026-08-14/", import.meta.url)

const FILES: Readonly<Record<string, string>> = {
  "payment.failed": "payment-failed.second-attempt",
  "payment.succeeded": "payment-succeeded.after-retry",
  "membership.activated": "membership-activated.first-time",
  "membership.deactivated": "membership-deactivated.while-past-due",
  "membership.cancel_at_period_end_changed": "membership-cancel-at-period-end-changed.announced",
  "dispute.created": "dispute-created",
  "dispute.updated": "dispute-updated.won",
}

/** The Whop company of the simulator's first company. */
export const WHOP_ACCOUNT = "biz_simulated"

const texts = new Map<string, string>()

function textOf(type: string): string {
  const file = FILES[type]
  if (file === undefined) throw new Error(`no fixture of ${type}`)
  const text = texts.get(type) ?? readFileSync(new URL(`${file}.json`, FIXTURES), "utf8")
  texts.set(type, text)
  return text
}

/** An event of that type, at any time, for any member; `changes` replace fields of its object. */
export const whopEvent =
  (type: string, changes: Readonly<Record<string, unknown>> = {}) =>
  (at: Date, id: string, { tag }: { readonly tag: string }): { readonly id: string; readonly type: string } => {
    const text = textOf(type)
      .replaceAll("pay_cJ5C52xzGQftKH", `pay_${tag}`)
      .replaceAll("mem_vi6Xw8ZDO8rjjR", `mem_${tag}`)
      .replaceAll("user_T1h3xycVulUVN", `user_${tag}`)
      .replaceAll("mber_2kExampleMember", `mber_${tag}`)
      .replaceAll("dspt_4ExampleDispute", `dspt_${tag}`)
      .replaceAll("member@example.com", `user_${tag}@example.com`)
      .replaceAll("biz_9YQ2xExample", WHOP_ACCOUNT)
      .replaceAll("2026-09-21T14:13:20.000Z", at.toISOString())
    const event = JSON.parse(text) as { data: object; type: string }
    const named = { ...event, id: id.replace("evt_", "msg_"), type }
    return { ...named, ...{ data: { ...event.data, ...changes } } }
  }
