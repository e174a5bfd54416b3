import { expect, test } from "vitest"
import { idempotencyKey } from "./manual-nudge.ts"

const now = new Date("2026-03-01T10:00:59.999Z")

test("the same header gives the same key, in any format", async () => {
  const [one, two, other] = await Promise.all(
    ['"a b"'.replace(" ", "-"), '"a-b"', "a-b"].map((key) => idempotencyKey(key, now)),
  )
  expect(one).toEqual(two)
  expect(one?.text).not.toBe(other?.text)
  expect(one).toMatchObject({ isGiven: true, text: expect.stringMatching(/^[0-9a-f]{24}$/) })
})

test("without a header, requests within one minute have the same key", async () => {
  const at = (time: string) => idempotencyKey(undefined, new Date(time))
  expect(await at("2026-03-01T10:00:00Z")).toEqual(await at("2026-03-01T10:00:59.999Z"))
  expect(await at("2026-03-01T10:01:00Z")).not.toEqual(await at("2026-03-01T10:00:59.999Z"))
})

test.each(["", "a b", "é", "a".repeat(256)])("%j is no key", async (key) => {
  await expect(idempotencyKey(key, now)).rejects.toMatchObject({ code: "MALFORMED" })
})
