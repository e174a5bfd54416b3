import { describe, expect, test } from "vitest"
import { type CompanyMembers, findMisdirected } from "./check-messages.ts"
import { firstCompany, SECOND_COMPANY } from "./companies.ts"
import type { Message } from "./http.ts"
import { makeMembers } from "./members.ts"
import { createRandom } from "./random.ts"

const world = {
  ...{ workerUrl: "http://127.0.0.1:1", controlUrl: "http://127.0.0.1:2", apiKey: "key", companyId: "first" },
  secrets: { stripe: "s", whop: "w" },
}

function companyOf(profile: typeof SECOND_COMPANY, stamp: string): CompanyMembers {
  const group = { stamp, count: 1, days: 30, providers: ["stripe" as const], isByEmailOnly: true }
  const endpoint = () => ({ url: "", secret: "" })
  const company = { profile, world, providers: group.providers, endpoint }
  return { company, members: makeMembers(createRandom(1), group) }
}

const first = companyOf(firstCompany("first"), "a")
const second = companyOf(SECOND_COMPANY, "b")
const companies = [first, second]

/** What the second company may send to its member. */
const right: Message = {
  channel: "email",
  to: second.members[0]?.email ?? "",
  from: "hello@harbor.example",
  account: "harbor",
  subject: "Harbor Yoga",
  body: `${SECOND_COMPANY.motto} https://pay.harbor.example/r/token`,
  at: "2026-11-30T12:00:00Z",
  headers: { "List-Unsubscribe": "<https://pay.harbor.example/unsubscribe/token>" },
}

test("a message of the company to its own member is as it should be", () => {
  expect(findMisdirected([right], companies)).toEqual([])
})

test("messages to people who sign in are not looked at", () => {
  expect(findMisdirected([{ ...right, to: "studio@harbor.example", body: "" }], companies)).toEqual([])
})

describe("what crosses over is found", () => {
  test.each<[string, Partial<Message>, string]>([
    [
      "a member of the other company",
      { to: first.members[0]?.email ?? "" },
      "of Demo Company has words of Harbor Yoga",
    ],
    ["a stranger", { to: "nobody@example.com" }, "went to nobody's member"],
    ["the deployment's key", { account: undefined }, "was sent with the key of the deployment"],
    ["another sender", { from: "billing@churn-saver.example" }, "was sent by billing@churn-saver.example"],
    ["the other company's name", { subject: "Harbor Yoga and Demo Company" }, "has words of Demo Company"],
    ["the shipped words", { body: "Please pay." }, "is not in its words"],
    ["no name", { subject: "Hello" }, "does not name it"],
    ["another domain", { headers: { "List-Unsubscribe": "<http://127.0.0.1:1/unsubscribe/t>" } }, "another domain"],
    [
      "the other company's Slack",
      { channel: "slack", to: "/services/T/B/x" },
      "of Demo Company has words of Harbor Yoga",
    ],
  ])("%s", (_, change, fault) => {
    expect(findMisdirected([{ ...right, ...change }], companies).join("; ")).toContain(fault)
  })
})
