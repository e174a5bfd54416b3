/**
 * Rotations of an environment's secrets: after any sequence of steps, the file has the secrets that the provider uses.
 */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { parseKeyRing } from "../../shared/crypto/key-ring.ts"
import { CommandError } from "../deployment.ts"
import {
  applyQstashKeys,
  type FileChange,
  fingerprintOf,
  finishQstash,
  finishWebhook,
  NO_ROTATIONS,
  planQstash,
  rotateKeys,
  rotateWebhook,
  secretsIn,
} from "./rotation.ts"

const START = new Date("2026-06-01T12:00:00.000Z")
const hoursOn = (hours: number) => new Date(START.getTime() + hours * 3_600_000)
const VARIABLE = "STRIPE_WEBHOOK_SECRET"
const fileOf = (variables: FileChange["variables"]): FileChange => ({ variables, rotations: NO_ROTATIONS })
const refusalOf = (act: () => unknown): string => {
  try {
    act()
  } catch (error) {
    if (error instanceof CommandError) return error.message
    throw error
  }
  throw new Error("it was not refused")
}

describe("a webhook secret", () => {
  const before = fileOf({ [VARIABLE]: "whsec_the_old_secret_01", OTHER: "pa$word" })
  const rotate = (from: FileChange, secret: string, hours = 0, overlapHours = 24) =>
    rotateWebhook(from, { variable: VARIABLE, secret, now: hoursOn(hours), overlapHours })

  test("is put first, before the old one, which is removed after the overlap", () => {
    const both = rotate(before, "whsec_the_new_$ecret_02")
    expect(both.variables).toEqual({
      [VARIABLE]: "whsec_the_new_$ecret_02,whsec_the_old_secret_01",
      OTHER: "pa$word",
    })
    expect(JSON.stringify(both.rotations)).not.toContain("whsec")
    expect(refusalOf(() => finishWebhook(both, { variable: VARIABLE, now: hoursOn(23) }))).toContain("2026-06-02T12:00")
    const finished = finishWebhook(both, { variable: VARIABLE, now: hoursOn(24) })
    expect(finished).toEqual(fileOf({ [VARIABLE]: "whsec_the_new_$ecret_02", OTHER: "pa$word" }))
    expect(refusalOf(() => finishWebhook(finished, { variable: VARIABLE, now: hoursOn(99) }))).toContain("No rotation")
  })

  test("is the first one of a missing variable", () => {
    expect(rotate(fileOf({}), "whsec_the_first_secret").variables).toEqual({ [VARIABLE]: "whsec_the_first_secret" })
  })

  test.each(["", "short", "whsec_with a space in it", "whsec_with,a_comma_in_it", "whsec_with_a_line\nbreak"])(
    "that is %j is refused",
    (secret) => {
      const refusal = refusalOf(() => rotate(before, secret))
      expect(refusal).toContain("16")
      if (secret !== "") expect(refusal).not.toContain(secret)
    },
  )

  test("that exists already is refused, and a sixth", () => {
    expect(refusalOf(() => rotate(before, "whsec_the_old_secret_01"))).toContain("already")
    const five = [1, 2, 3, 4].reduce((file, n) => rotate(file, `whsec_one_more_secret_${n}`), before)
    expect(refusalOf(() => rotate(five, "whsec_one_too_many_01"))).toContain("finish")
  })

  test("after any sequence of rotations, every secret that the provider may use is in the file", () => {
    const step = fc.record({
      verb: fc.constantFrom("rotate", "finish"),
      hours: fc.integer({ min: 0, max: 30 }),
      overlapHours: fc.integer({ min: 0, max: 48 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        let file = before
        let hour = 0
        // The secrets that the provider may sign with, and until which hour.
        const inUse = new Map<string, number>([["whsec_the_old_secret_01", Number.POSITIVE_INFINITY]])
        for (const [index, { verb, hours, overlapHours }] of steps.entries()) {
          hour += hours
          try {
            if (verb === "finish") file = finishWebhook(file, { variable: VARIABLE, now: hoursOn(hour) })
            else {
              const secret = `whsec_generated_${index}`
              file = rotate(file, secret, hour, overlapHours)
              for (const [old, until] of inUse)
                if (until === Number.POSITIVE_INFINITY) inUse.set(old, hour + overlapHours)
              inUse.set(secret, Number.POSITIVE_INFINITY)
            }
          } catch (error) {
            if (!(error instanceof CommandError)) throw error
          }
          const there = secretsIn(file.variables[VARIABLE])
          for (const [secret, until] of inUse) if (until > hour) expect(there).toContain(secret)
          expect(there.length).toBeLessThanOrEqual(5)
          expect(new Set(there).size).toBe(there.length)
          // Every secret but the newest will be removed: none is forgotten.
          const ending = file.rotations.webhooks.map(({ fingerprint }) => fingerprint)
          expect(there.slice(1).map(fingerprintOf).sort()).toEqual([...ending].sort())
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe("QStash's keys", () => {
  const [A, B, C, D, E] = ["A", "B", "C", "D", "E"].map((letter) => `sig_${letter.repeat(24)}`) as [
    string,
    string,
    string,
    string,
    string,
  ] // five letters, five keys
  const before = fileOf({ QSTASH_CURRENT_SIGNING_KEY: A, QSTASH_NEXT_SIGNING_KEY: B })

  test("are rotated at QStash, stored in the file, uploaded, and only then rotated again", () => {
    expect(planQstash(before, { current: A, next: B })).toBe("rotate")
    const pending = applyQstashKeys(before, { current: B, next: C }, START)
    expect(pending.variables).toEqual({ QSTASH_CURRENT_SIGNING_KEY: B, QSTASH_NEXT_SIGNING_KEY: C })
    expect(refusalOf(() => planQstash(pending, { current: B, next: C }))).toContain("upload")
    expect(planQstash(finishQstash(pending), { current: B, next: C })).toBe("rotate")
    expect(refusalOf(() => finishQstash(before))).toContain("No rotation")
  })

  test("are adopted when they were rotated elsewhere, once or more often", () => {
    expect(planQstash(before, { current: B, next: C })).toBe("adopt")
    expect(planQstash(before, { current: C, next: D })).toBe("replace")
    expect(planQstash(before, { current: D, next: E })).toBe("replace")
  })

  test("after any sequence of commands, uploads and lost answers, the Worker has the signing key", () => {
    const step = fc.constantFrom("rotate", "rotate, answer lost", "upload", "finish")
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let qstash = { current: "key0", next: "key1" }
        let worker = ["key0", "key1"]
        let made = 1
        let file = fileOf({ QSTASH_CURRENT_SIGNING_KEY: "key0", QSTASH_NEXT_SIGNING_KEY: "key1" })
        let isUploaded = true
        const upload = () => {
          worker = [file.variables.QSTASH_CURRENT_SIGNING_KEY ?? "", file.variables.QSTASH_NEXT_SIGNING_KEY ?? ""]
          isUploaded = true
        }
        for (const verb of steps) {
          try {
            if (verb === "upload") upload()
            else if (verb === "finish") {
              // `finish` is called only after the upload.
              if (isUploaded) file = finishQstash(file)
            } else {
              const plan = planQstash(file, qstash)
              expect(plan).not.toBe("replace")
              if (plan === "rotate") {
                made += 1
                qstash = { current: qstash.next, next: `key${made}` }
              }
              if (verb === "rotate") {
                file = applyQstashKeys(file, qstash, START)
                isUploaded = false
              }
            }
          } catch (error) {
            if (!(error instanceof CommandError)) throw error
          }
          expect(worker).toContain(qstash.current)
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe("a key ring", () => {
  const key = (byte: number) => Buffer.alloc(32, byte)
  const entry = (version: number, byte: number) => `v${version}:${key(byte).toString("base64")}`

  test("gets the next version, and keeps the others unchanged", () => {
    const before = fileOf({ ENCRYPTION_KEYS: `${entry(3, 3)}, ${entry(1, 1)}` })
    const { variables } = rotateKeys(before, { variable: "ENCRYPTION_KEYS", key: key(9) })
    expect(variables.ENCRYPTION_KEYS).toBe(`${entry(3, 3)}, ${entry(1, 1)},${entry(4, 9)}`)
    const ring = parseKeyRing(variables.ENCRYPTION_KEYS ?? "")
    expect(ring).toMatchObject({ ok: true, value: { newestVersion: 4 } })
  })

  test.each([
    ["nothing", {}],
    ["something else", { ENCRYPTION_KEYS: "v1:abc" }],
    ["the last version that there can be", { ENCRYPTION_KEYS: entry(65_535, 1) }],
  ])("that is %s is left alone", (_, variables: Record<string, string>) => {
    const refusal = refusalOf(() => rotateKeys(fileOf(variables), { variable: "ENCRYPTION_KEYS", key: key(9) }))
    expect(refusal).toContain("ENCRYPTION_KEYS")
    expect(refusal).not.toContain("abc")
  })
})
