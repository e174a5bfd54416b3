import { expect, test } from "vitest"
import { safeKey, withHashedAddress } from "./plain-key.ts"

test.each(["acme.payment_in_1.0.email", "nudge-acme-payment_in_1.manual-k:1.sms-1790000000000"])(
  "a key of current ids is unchanged: %s",
  async (key) => {
    expect(await safeKey(key)).toBe(key)
  },
)

test("any other key becomes a hash that fits a header, the same for the same text and different for another", async () => {
  const odd = ["acme.payment_Ann Lee/№ 7.0.email", "acme.payment_ann@example.com.0.email", "a".repeat(201), "é", ""]
  const keys = await Promise.all(odd.map(safeKey))
  for (const key of keys) expect(key).toMatch(/^key-[0-9a-f]{64}$/)
  expect(new Set(keys).size).toBe(odd.length)
  expect(await Promise.all(odd.map(safeKey))).toEqual(keys)
})

test.each(["ann@example.com", "signal for Ann@Example.com", "ann%40example.com", "a@b"])(
  "a name that looks like an address is hashed: %s",
  async (name) => {
    const hashed = await withHashedAddress(name)
    expect(hashed).toMatch(/^hashed_[0-9a-f]{40}$/)
    expect(await withHashedAddress(name)).toBe(hashed)
  },
)

test.each(["invoice.payment_failed", "v2.core.account[identity].updated", "@", "a @ b", "sig_1"])(
  "any other name is unchanged: %s",
  async (name) => {
    expect(await withHashedAddress(name)).toBe(name)
  },
)
