import { expect, test } from "vitest"
import { type KeyRing, parseKeyRing } from "./key-ring.ts"

const key = (fill: number): string => Buffer.alloc(32, fill).toString("base64")

function ring(text: string): KeyRing {
  const parsed = parseKeyRing(text)
  if (!parsed.ok) throw new Error(parsed.error.reason)
  return parsed.value
}

test("the highest version is the newest, at any position in the list", () => {
  expect(ring(`v2:${key(2)},v10:${key(10)}, v1:${key(1)}`).newestVersion).toBe(10)
})

test.each([
  ["nothing", "", { reason: "empty", entry: 0 }],
  ["a blank entry", `v1:${key(1)},`, { reason: "malformed_entry", entry: 2 }],
  ["no version", key(1), { reason: "malformed_entry", entry: 1 }],
  ["version 0", `v0:${key(1)}`, { reason: "malformed_entry", entry: 1 }],
  ["a version of more than two bytes", `v65536:${key(1)}`, { reason: "malformed_entry", entry: 1 }],
  ["31 bytes", `v1:${Buffer.alloc(31).toString("base64")}`, { reason: "malformed_entry", entry: 1 }],
  ["33 bytes", `v1:${Buffer.alloc(33).toString("base64")}`, { reason: "malformed_entry", entry: 1 }],
  ["a version twice", `v1:${key(1)},v1:${key(2)}`, { reason: "duplicate_version", entry: 2 }],
])("%s is no key ring", (_, text, error) => {
  expect(parseKeyRing(text)).toEqual({ ok: false, error })
})

test("printing a key ring does not show its keys", () => {
  const keys = ring(`v1:${key(7)}`)
  expect(JSON.stringify(keys)).not.toContain(key(7).slice(0, 8))
  expect(Object.values(keys)).toEqual([1])
})

test("a derived key is cached and cannot be exported; every purpose, use and version has its own", async () => {
  const keys = ring(`v1:${key(1)},v2:${key(2)}`)
  const one = await keys.derive(1, "sign", ["a", "b"])
  expect(one?.extractable).toBe(false)
  expect(await keys.derive(1, "sign", ["a", "b"])).toBe(one)
  const mac = async (version: number, purpose: string[]): Promise<string> => {
    const derived = await keys.derive(version, "sign", purpose)
    if (!derived) throw new Error("no such version")
    return Buffer.from(await crypto.subtle.sign("HMAC", derived, Buffer.from("x"))).toString("hex")
  }
  const macs = await Promise.all([mac(1, ["a", "b"]), mac(1, ["ab"]), mac(1, ["a"]), mac(2, ["a", "b"])])
  expect(new Set(macs).size).toBe(4)
})

test("a version that is not in the ring has no key", async () => {
  expect(await ring(`v1:${key(1)}`).derive(2, "seal", ["x"])).toBeNull()
})

test("the cache of derived keys is bounded and keeps what is in use", async () => {
  const keys = ring(`v1:${key(1)}`)
  const used = await keys.derive(1, "seal", ["used"])
  const unused = await keys.derive(1, "seal", ["unused"])
  for (let index = 0; index < 600; index += 1) {
    await keys.derive(1, "seal", [String(index)])
    if (index % 100 === 0) await keys.derive(1, "seal", ["used"])
  }
  expect(await keys.derive(1, "seal", ["used"])).toBe(used)
  expect(await keys.derive(1, "seal", ["unused"])).not.toBe(unused)
})
