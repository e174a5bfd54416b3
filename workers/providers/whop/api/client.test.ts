import WhopSdk from "@whop/sdk"
import { describe, expect, test } from "vitest"
import { NotSent } from "../../../../shared/network/outbound-fetch.ts"
import { ProviderApiError } from "../../../../shared/provider.ts"
import { whopProvider } from "../index.ts"
import { WHOP_API_URL, whopApi } from "./client.ts"

const MEMBERSHIP = {
  id: "mem_1",
  manage_url: "https://whop.com/billing/manage/mem_1",
  user: { id: "user_1" },
  member: { id: "mber_1" },
}

interface Call {
  readonly method: string
  readonly url: string
  readonly headers: Headers
  readonly body: unknown
}

/** A fake of Whop: answers with `reply` and records its requests. */
function fakeWhop(reply: () => Response | Promise<Response>): { readonly calls: Call[]; readonly fetch: typeof fetch } {
  const calls: Call[] = []
  const send: typeof fetch = async (input, init) => {
    const request = new Request(input, init)
    const text = await request.text()
    const body: unknown = text === "" ? null : JSON.parse(text)
    calls.push({ method: request.method, url: request.url, headers: request.headers, body })
    return reply()
  }
  return { calls, fetch: send }
}

/** Answers reads with the membership, and everything else with `reply`. */
const readable = (send: () => Response | Promise<Response>): typeof fetch => {
  const [reading, writing] = [fakeWhop(() => Response.json(MEMBERSHIP)), fakeWhop(send)]
  return (input, init) => (init?.method === "POST" ? writing : reading).fetch(input, init)
}

const answering = (body: unknown, status = 200) => fakeWhop(() => Response.json(body, { status }))
const apiWith = (send: typeof fetch, apiKey: string | null = "key") => whopApi({ apiKey, fetch: send })
const page = { customer: "user_1", subscriptionId: "mem_1", returnUrl: "https://app.example/" }
const sevenDays = {
  customer: "user_1",
  subscriptionId: "mem_1",
  incentive: { kind: "free_days", days: 7 },
  idempotencyKey: "incentive-1",
} as const

const failureOf = async (promise: Promise<unknown>): Promise<ProviderApiError> => {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (!(error instanceof ProviderApiError)) throw new Error("expected a ProviderApiError")
  return error
}

describe("the payment page", () => {
  test("is that of the membership", async () => {
    const { calls, fetch: send } = answering(MEMBERSHIP)
    expect(await apiWith(send).paymentPage(page)).toBe(MEMBERSHIP.manage_url)
    expect(calls).toMatchObject([{ method: "GET", url: `${WHOP_API_URL}/memberships/mem_1` }])
    expect(calls[0]?.headers.get("authorization")).toBe("Bearer key")
  })

  test("is null without a membership, without a link, or with a link to another host", async () => {
    const { calls, fetch: send } = answering(MEMBERSHIP)
    expect(await apiWith(send).paymentPage({ ...page, subscriptionId: null })).toBeNull()
    expect(await apiWith(send).paymentPage({ ...page, subscriptionId: ".." })).toBeNull()
    expect(calls).toEqual([])
    const elsewhere = { ...MEMBERSHIP, manage_url: "https://whop.com.evil.example/" }
    for (const body of [{ ...MEMBERSHIP, manage_url: null }, elsewhere]) {
      expect(await apiWith(answering(body).fetch).paymentPage(page)).toBeNull()
    }
    expect(await apiWith(answering({}, 404).fetch).paymentPage(page)).toBeNull()
  })
})

describe("an incentive", () => {
  test("of free days is requested as by Whop's own SDK, with its key", async () => {
    const ours = answering(MEMBERSHIP)
    await apiWith(ours.fetch).applyIncentive(sevenDays)
    const theirs = answering(MEMBERSHIP)
    await new WhopSdk({ apiKey: "key", fetch: theirs.fetch }).memberships.addFreeDays("mem_1", { free_days: 7 })

    const [our, their] = [ours.calls[1], theirs.calls[0]]
    expect(our).toMatchObject({ method: their?.method, url: their?.url, body: their?.body })
    expect(our?.headers.get("authorization")).toBe(their?.headers.get("authorization"))
    expect(our?.headers.get("idempotency-key")).toBe("incentive-1")
  })

  test.each([
    { incentive: { kind: "discount", percentOff: 20, months: 3 } } as const,
    { incentive: { kind: "free_days", days: 0 } } as const,
    { incentive: { kind: "free_days", days: 1096 } } as const,
    { incentive: { kind: "free_days", days: 1.5 } } as const,
    { subscriptionId: "mem_1\u0000" },
    { idempotencyKey: "two\r\nlines" },
    { idempotencyKey: "" },
    { idempotencyKey: "x".repeat(256) },
  ])("is refused without a call to Whop: %j", async (over) => {
    const { calls, fetch: send } = answering(MEMBERSHIP)
    expect((await failureOf(apiWith(send).applyIncentive({ ...sevenDays, ...over }))).retry).toBe(false)
    expect(calls).toEqual([])
  })

  test.each([
    ["another user's", { user: { id: "user_2" } }],
    ["another company's", { company: { id: "biz_2" } }],
    ["another membership", { id: "mem_2" }],
  ])("is not given, and no page is shown, where the answer is %s", async (_, over) => {
    const { calls, fetch: send } = answering({ ...MEMBERSHIP, ...over })
    const api = whopApi({ apiKey: "key", companyId: "biz_1", fetch: send })
    expect((await failureOf(api.applyIncentive(sevenDays))).retry).toBe(false)
    expect((await failureOf(api.paymentPage(page))).retry).toBe(false)
    expect(calls.map(({ method }) => method)).toEqual(["GET", "GET"])
  })

  test("whose reply was lost is not retried, since the days may have been added", async () => {
    const lost = readable(() => Promise.reject(new TypeError("Network connection lost.")))
    expect(await failureOf(apiWith(lost).applyIncentive(sevenDays))).toMatchObject({ retry: false, status: null })
    expect((await failureOf(apiWith(answering({}, 503).fetch).applyIncentive(sevenDays))).retry).toBe(true)
  })

  test("for a membership that Whop does not have is not retried", async () => {
    const error = await failureOf(apiWith(answering({}, 404).fetch).applyIncentive(sevenDays))
    expect(error).toMatchObject({ retry: false, status: 404 })
  })
})

describe("the customer of an object", () => {
  test.each([
    ["mem_1", MEMBERSHIP, "memberships", ["mem_1", "mber_1"]],
    ["pay_1", { id: "pay_1", user: { id: "user_1" }, membership: { id: "mem_1" } }, "payments", ["pay_1", "mem_1"]],
    ["inv_1", { id: "inv_1", user: { id: "user_1" } }, "invoices", ["inv_1"]],
    ["mber_1", { id: "mber_1", user: { id: "user_1" } }, "members", ["mber_1"]],
    [
      "dspt_1",
      { id: "dspt_1", payment: { id: "pay_1", user: { id: "user_1" }, membership: { id: "mem_1" } } },
      "disputes",
      ["dspt_1", "pay_1", "mem_1"],
    ],
  ])("%s is found with further ids", async (id, body, collection, objects) => {
    const { calls, fetch: send } = answering(body)
    expect(await apiWith(send).customerOf(id)).toEqual({ customer: "user_1", objects })
    expect(calls[0]?.url).toBe(`${WHOP_API_URL}/${collection}/${id}`)
  })

  test("is null for an object that is unknown, deleted, or of a kind that is not looked up", async () => {
    expect(await apiWith(answering({}, 404).fetch).customerOf("pay_1")).toBeNull()
    expect(await apiWith(answering({ id: "pay_1", user: null }).fetch).customerOf("pay_1")).toBeNull()
    const { calls, fetch: send } = answering(MEMBERSHIP)
    for (const id of ["ch_1", "..", "", "mem"]) expect(await apiWith(send).customerOf(id)).toBeNull()
    expect(calls).toEqual([])
  })
})

describe("a call that fails", () => {
  test.each([
    [408, true],
    [429, true],
    [500, true],
    [503, true],
    [302, false],
    [400, false],
    [401, false],
    [403, false],
    [422, false],
  ])("with %i can be retried: %s", async (status, retry) => {
    const reply = fakeWhop(() => new Response(null, { status, headers: { location: "https://evil.example/" } }))
    expect(await failureOf(apiWith(reply.fetch).paymentPage(page))).toMatchObject({ status, retry })
  })

  test.each([
    ["no answer", () => Promise.reject(new TypeError("fetch failed"))],
    ["an HTML page", () => new Response("<html>502</html>")],
    ["half an answer", () => new Response('{"id":"mem_1"')],
    ["another JSON value", () => Response.json([])],
    ["a body that is too long", () => Response.json({ ...MEMBERSHIP, note: "x".repeat(1_100_000) })],
  ])("with %s can be retried", async (_, reply) => {
    expect((await failureOf(apiWith(fakeWhop(reply).fetch).paymentPage(page))).retry).toBe(true)
  })

  test("for lack of a key is not sent, and no message contains the key", async () => {
    const { calls, fetch: send } = answering({}, 500)
    expect((await failureOf(apiWith(send, null).paymentPage(page))).retry).toBe(false)
    expect(calls).toEqual([])
    const error = await failureOf(apiWith(send, "very-secret").paymentPage(page))
    expect(`${error.message} ${String(error.cause)}`).not.toContain("very-secret")
  })

  test("has a time-out", async () => {
    let signal: AbortSignal | null | undefined
    const send: typeof fetch = async (_input, init) => {
      signal = init?.signal
      return Response.json(MEMBERSHIP)
    }
    await apiWith(send).paymentPage(page)
    expect(signal).toBeInstanceOf(AbortSignal)
  })
})

test("the provider is complete and sends members to Whop only", () => {
  const provider = whopProvider({ apiKey: "key", apiUrl: "https://api.example/" })
  expect(provider.name).toBe("whop")
  expect(provider.redirectHosts).toEqual(["whop.com", ".whop.com"])
})

test("free days that were certainly not sent can be retried; those whose reply was lost cannot", async () => {
  const days = { customer: "user_1", subscriptionId: "mem_1", incentive: { kind: "free_days", days: 7 } } as const
  const failing = (error: Error) => whopApi({ apiKey: "key", fetch: readable(() => Promise.reject(error)) })
  const ask = (error: Error) => failing(error).applyIncentive({ ...days, idempotencyKey: "case-1" })
  await expect(ask(new NotSent("circuit_open", 5_000))).rejects.toMatchObject({ retry: true, status: null })
  await expect(ask(new TypeError("Network connection lost."))).rejects.toMatchObject({ retry: false })
})
