/** An invariant: the same fact in every version of the envelope and its object. */
import { describe, expect, test } from "vitest"
import { AT, BILL, CONTEXT, factOf, fixture, namesOf, read, versions } from "../../../../test/fixtures/whop/fixtures.ts"

describe("one fact in every shape", () => {
  /**
   * Whether two readings are the same but for what one shape cannot say: `email` (v5), decline messages and reasons (v2,
   * v5), price and period (v1, v5). Absent and null agree with anything; two stated values must be equal.
   */
  function agree(a: unknown, b: unknown): boolean {
    if (a === null || a === undefined || b === null || b === undefined) return true
    if (typeof a !== "object" || typeof b !== "object") return a === b
    return [...new Set([...Object.keys(a), ...Object.keys(b)])].every((key) =>
      agree((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]),
    )
  }

  const pairs = versions
    .filter((version) => version !== "v1")
    .flatMap((version) => namesOf(version).map((name) => [version, name] as const))

  test.each(pairs)("%s of %s has the same facts as v1", (version, name) => {
    const v1 = read(fixture("v1", name))
    const other = read(fixture(version, name))
    expect(other.facts.map(({ kind }) => kind)).toEqual(v1.facts.map(({ kind }) => kind))
    expect(agree(v1.facts, other.facts)).toBe(true)
    expect(other).toMatchObject({ customer: v1.customer, occurredAt: v1.occurredAt, unhandled: v1.unhandled })
    if (version === "v1-2026-08-14") expect({ ...other, apiVersion: "v1" }).toEqual(v1)
  })

  test.each(["v1-2026-08-14", "v1-2026-11-17", "v2", "v5"])(
    "%s says of a failed payment all that a case needs",
    (version) => {
      const fact = factOf(read(fixture(version, "payment-failed.second-attempt")))
      expect(fact).toMatchObject({
        kind: "payment_failed",
        ...BILL,
        attempt: 2,
        nextAttemptAt: "2026-09-23T14:13:20.000Z",
      })
    },
  )

  test("v2 has the price and the period", () => {
    const fact = factOf(read(fixture("v2", "membership-activated.again")))
    expect(fact).toMatchObject({
      subscription: { items: [{ unitAmountMinor: 1999, interval: "month", intervalCount: 1 }], currency: "usd" },
    })
  })
})

describe("a legacy event", () => {
  const event = fixture("v5", "membership-activated.again")

  test("is identified by its header, else by its content", () => {
    expect(read(event).providerEventId).toBe("msg_header")
    const bare = { receivedAt: CONTEXT.receivedAt, headers: new Headers({ "x-whop-signature": "t=1790000000,v1=00" }) }
    const first = read(event, bare)
    const again = read(structuredClone(event), {
      ...bare,
      headers: new Headers({ "x-whop-signature": "t=1790000010,v1=11" }),
    })
    const other = read(fixture("v5", "membership-deactivated.requested"), bare)
    expect(first.providerEventId).toMatch(/^legacy_[0-9a-f]{28}$/)
    expect(again.providerEventId).toBe(first.providerEventId)
    expect(other.providerEventId).not.toBe(first.providerEventId)
    expect(first.occurredAt).toBe(AT)
  })

  test("has the time of its object, unless that is in the future", () => {
    const failed = fixture("v5", "payment-failed.second-attempt")
    const data = failed.data as object // an object in the fixture
    const seconds = Date.parse(AT) / 1000
    expect(read({ ...failed, data: { ...data, last_payment_attempt: seconds - 60 } }).occurredAt).toBe(
      "2026-09-21T14:12:20.000Z",
    )
    expect(read({ ...failed, data: { ...data, last_payment_attempt: seconds + 3600 } }).occurredAt).toBe(AT)
    const withoutHeaders = { receivedAt: CONTEXT.receivedAt, headers: new Headers() }
    expect(read({ ...failed, data: { ...data, last_payment_attempt: null } }, withoutHeaders).occurredAt).toBe(
      "2026-09-21T14:13:24.000Z",
    )
  })

  test.each(["app_membership.went_valid", "app.membership_went_valid", "membership_went_valid"])(
    "may be written as %s",
    (action) => {
      expect(factOf(read({ ...event, action }))?.kind).toBe("subscription_resumed")
    },
  )

  test.each(["app.payment_failed", "app_payment.failed", "payment_failed", "app_payment_failed"])(
    "of a failure may be written as %s",
    (action) => {
      const failed = fixture("v5", "payment-failed.second-attempt")
      expect(factOf(read({ ...failed, action }))).toEqual(factOf(read(failed)))
    },
  )

  test("may have its object under body", () => {
    const { data, ...rest } = event
    expect(read({ ...rest, body: data }).facts).toEqual(read(event).facts)
  })

  test.each([
    ["2026-09-23T14:13:20Z", "2026-09-23T14:13:20.000Z"],
    ["2026-09-23 14:13:20 +0000", "2026-09-23T14:13:20.000Z"],
    ["2026-09-23 16:13:20+02", "2026-09-23T14:13:20.000Z"],
    ["2026-09-23 14:13:20.123+00", "2026-09-23T14:13:20.123Z"],
    ["2026-09-23 14:13:20 UTC", "2026-09-23T14:13:20.000Z"],
    ["1790172800", "2026-09-23T14:13:20.000Z"],
    [1_790_172_800, "2026-09-23T14:13:20.000Z"],
    ["1790172800.5", "2026-09-23T14:13:20.500Z"],
    [1_790_172_800_500, "2026-09-23T14:13:20.500Z"],
    ["1790172800500", "2026-09-23T14:13:20.500Z"],
  ])("may have a time as %j", (written, at) => {
    const failed = fixture("v5", "payment-failed.second-attempt")
    const data = { ...(failed.data as object), next_payment_attempt: written } // an object in the fixture
    expect(factOf(read({ ...failed, data }))).toMatchObject({ nextAttemptAt: at })
  })
})
