/** `normalize` accepts any JSON: an invalid envelope is malformed, and nothing throws. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { CONTEXT, fixture, namesOf, readV1, versions } from "../../../../test/fixtures/whop/fixtures.ts"
import { isId } from "../../ids.ts"
import { normalize } from "./normalize.ts"

describe("malformed", () => {
  const good = fixture("v1", "payment-failed.second-attempt")

  test.each([
    ["not an object", []],
    ["null", null],
    ["text", "payment.failed"],
    ["empty", {}],
    ["no id", { ...good, id: undefined }],
    ["a number as id", { ...good, id: 5 }],
    ["a type that is an object", { ...good, type: {} }],
    ["a type with a line break", { ...good, type: "payment.\nfailed" }],
    ["a company that is a number", { ...good, company_id: 5 }],
    ["an action that is a number", { action: 5, data: {} }],
  ])("an envelope with %s is rejected with a reason that quotes nothing", (_, body) => {
    const result = normalize(body, CONTEXT)
    expect(result).toMatchObject({ ok: false, error: { reason: "malformed" } })
    expect(result.ok ? "" : result.error.detail).toMatch(/^[a-z_ ]+$/)
  })

  test.each([
    ["payment-failed.second-attempt", { id: null }, "payment has no id"],
    ["membership-activated.again", { id: {} }, "membership has no id"],
    ["refund-created", { payment: null }, "refund names no payment"],
    ["setup-intent-succeeded", { payment_method: null }, "setup intent names no payment method"],
  ])("%s with %j is unhandled", (name, data, reason) => {
    expect(readV1(name, data)).toMatchObject({ facts: [], unhandled: reason })
  })
})

describe("a detail that cannot be read is left out, and the event is still read", () => {
  const UNKNOWN = { amountMinor: null, currency: null }

  test.each([
    ["payment-failed.second-attempt", { total: null, subtotal: null }, { kind: "payment_failed", attempt: 2 }],
    ["payment-failed.second-attempt", { total: "a lot", subtotal: [] }, { kind: "payment_failed" }],
    ["payment-failed.second-attempt", { currency: 7 }, { kind: "payment_failed" }],
    ["dispute-created", { amount: {} }, { kind: "dispute_opened" }],
    ["invoice-past-due", { line_items: [] }, { kind: "payment_failed" }],
  ])("%s with %j", (name, data, fact) => {
    expect(readV1(name, data).facts.at(-1)).toMatchObject({ ...fact, ...UNKNOWN })
  })

  test.each([
    ["payment-failed.second-attempt", { next_payment_attempt: "soon" }, { amountMinor: 1999, currency: "usd" }],
    ["payment-failed.second-attempt", { total: 0.1 + 0.2 }, { amountMinor: 30, currency: "usd" }],
    ["payment-failed.second-attempt", { payments_failed: "2" }, { attempt: 2 }],
    ["payment-failed.second-attempt", { metadata: { discord_id: 2 ** 60 } }, { attempt: 2 }],
  ])("%s with %j keeps the rest", (name, data, fact) => {
    expect(readV1(name, data).facts.at(-1)).toMatchObject({ kind: "payment_failed", ...fact })
  })

  test.each([
    ["no timestamp", { timestamp: undefined }],
    ["a timestamp that is no time", { timestamp: "yesterday" }],
    ["a timestamp without a zone", { timestamp: "2026-09-21T14:13:20" }],
    ["a timestamp that does not exist", { timestamp: "2026-13-45T25:61:00Z" }],
    ["a version that is a number", { api_version: 1 }],
  ])("an envelope with %s is read", (_, fields) => {
    const good = fixture("v1", "payment-failed.second-attempt")
    const result = normalize({ ...good, ...fields }, CONTEXT)
    expect(result).toMatchObject({ ok: true, value: { unhandled: null } })
  })

  test.each([
    ["a list as data", { ...fixture("v1", "payment-failed.second-attempt"), data: [] }],
    ["no data", { ...fixture("v1", "payment-failed.second-attempt"), data: null }],
    ["an action without data", { action: "payment.failed" }],
  ])("an event with %s has no facts", (_, body) => {
    expect(normalize(body, CONTEXT)).toMatchObject({ ok: true, value: { facts: [], unhandled: "payment has no id" } })
  })
})

describe("for any input", () => {
  const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/
  const events = versions.flatMap((version) => namesOf(version).map((name) => fixture(version, name)))

  /** Everything that a fact may contain: ids and codes as text, safe integers, booleans, null; times in one form. */
  function expectWellFormed(value: unknown, key = ""): void {
    if (typeof value === "number") expect(Number.isSafeInteger(value) && value >= 0).toBe(true)
    else if (typeof value === "string") {
      expect(value).not.toBe("")
      if (/At$|^trialEnd$|^currentPeriodEnd$/.test(key)) expect(value).toMatch(INSTANT)
      if (key === "currency") expect(value).toMatch(/^[a-z_]{3,8}$/)
    } else if (typeof value === "object" && value !== null) {
      for (const [name, item] of Object.entries(value)) expectWellFormed(item, name)
    } else expect(["boolean", "object"]).toContain(typeof value)
  }

  function expectTotal(body: unknown): void {
    const result = normalize(body, CONTEXT)
    if (!result.ok) return
    const { facts, occurredAt, objects, customer, unhandled } = result.value
    expect(occurredAt).toMatch(INSTANT)
    expect(objects.every(isId)).toBe(true)
    expect(facts.length === 0).toBe(unhandled !== null)
    if (facts.length > 0) expect(customer !== null || objects.length > 0).toBe(true)
    for (const fact of facts) expectWellFormed(fact)
  }

  const paths = (value: unknown, path: readonly string[] = []): string[][] =>
    typeof value === "object" && value !== null
      ? [[...path], ...Object.entries(value).flatMap(([key, item]) => paths(item, [...path, key]))]
      : [[...path]]

  function withValueAt(value: unknown, [key, ...rest]: readonly string[], replacement: unknown): unknown {
    if (key === undefined) return replacement
    const copy = Array.isArray(value) ? [...value] : { ...(value as object) } // paths lead through objects only
    return Object.assign(copy, { [key]: withValueAt((value as Record<string, unknown>)[key], rest, replacement) })
  }

  const odd = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom(
      null,
      "",
      0,
      -1,
      1e21,
      0.1,
      "1e400",
      "\u0000",
      "\uD800",
      true,
      [],
      {},
      { id: null },
      8.64e15,
      "9999-99-99T99:99:99Z",
    ),
  )

  test("a broken event gives a delivery with well-formed facts or is malformed, and never throws", () => {
    const mutated = fc.constantFrom(...events).chain((event) =>
      fc.array(fc.tuple(fc.constantFrom(...paths(event)), odd), { minLength: 1, maxLength: 4 }).map((changes) =>
        changes.reduce<unknown>((body, [path, value]) => {
          try {
            return withValueAt(body, path, value)
          } catch {
            return body // an earlier change took this path away
          }
        }, event),
      ),
    )
    fc.assert(fc.property(mutated, expectTotal), { numRuns: 5000 })
  })

  test("and so does any JSON", () => {
    fc.assert(fc.property(fc.jsonValue(), expectTotal), { numRuns: 500 })
    fc.assert(
      fc.property(fc.constantFrom(...events), fc.dictionary(fc.string(), odd), (event, data) =>
        expectTotal({ ...event, data }),
      ),
    )
  })
})
