import { describe, expect, test } from "vitest"
import {
  bucketOf,
  evaluate,
  FLAG_DEFAULTS,
  FLAG_NAMES,
  type FlagName,
  type FlagValue,
  isOffForAll,
  isOnForAll,
  murmur3,
  OFF,
  ON,
  SWITCH_NAMES,
} from "./flags.ts"

const share = (percentage: number, changes: Partial<FlagValue> = {}): FlagValue => ({ ...ON, percentage, ...changes })
const isOn = (value: FlagValue, companyId: string, name: FlagName = "BI_DASHBOARD_V2") =>
  evaluate(name, value, companyId).isOn

/** Realistic ids: numbered, with a provider's prefix, and random ones. */
const FAMILIES: Readonly<Record<string, (index: number) => string>> = {
  numbered: (index) => `company_${index}`,
  "padded and numbered": (index) => `acme-${String(index).padStart(8, "0")}`,
  "like Whop's": (index) => `biz_${(index * 2_654_435_761).toString(36)}`,
}
const COMPANIES = 20_000
const companiesOf = (idOf: (index: number) => string) => Array.from({ length: COMPANIES }, (_, index) => idOf(index))

describe("the hash is MurmurHash3", () => {
  // From the reference implementation's own users: SMHasher, Wikipedia, Guava.
  test.each([
    ["", 0, 0x00000000],
    ["", 1, 0x514e28b7],
    ["", 0xffffffff, 0x81f16f39],
    ["test", 0, 0xba6bd213],
    ["test", 0x9747b28c, 0x704b81dc],
    ["Hello, world!", 0, 0xc0363e43],
    ["Hello, world!", 0x9747b28c, 0x24884cba],
    ["The quick brown fox jumps over the lazy dog", 0, 0x2e4ff723],
    ["The quick brown fox jumps over the lazy dog", 0x9747b28c, 0x2fa826cd],
  ])("of %j with seed %i", (text, seed, expected) => {
    expect(murmur3(text, seed)).toBe(expected)
  })

  test("and the buckets of companies are what they were", () => {
    // A company that changed its bucket would change sides in the middle of a rollout.
    expect(bucketOf("NOTIFICATIONS_ENABLED", "demo_company")).toBe(BUCKETS_OF_DEMO.NOTIFICATIONS_ENABLED)
    expect(bucketOf("BI_DASHBOARD_V2", "demo_company")).toBe(BUCKETS_OF_DEMO.BI_DASHBOARD_V2)
  })
})
const BUCKETS_OF_DEMO = { NOTIFICATIONS_ENABLED: 7_196, BI_DASHBOARD_V2: 9_913 }

describe("the flags", () => {
  test("are four switches, six features and the mark of closed companies", () => {
    expect(SWITCH_NAMES.join(" ")).toBe(
      "WEBHOOK_PROCESSING_ENABLED SCHEDULER_ENABLED NOTIFICATIONS_ENABLED ROLLBACK_MODE",
    )
    expect(FLAG_NAMES.slice(4).join(" ")).toBe(
      "REAL_TIME_PREDICTIONS ADVANCED_SEGMENTATION AUTO_RETENTION_CAMPAIGNS STRICT_QUALITY_GATES MODEL_DRIFT_DETECTION BI_DASHBOARD_V2 COMPANY_CLOSED",
    )
    expect(FLAG_NAMES.slice(0, 4)).toEqual(SWITCH_NAMES)
  })

  test.each(["staging", "production"] as const)("are all off in %s before the launch", (environment) => {
    const off = { enabled: false, percentage: 100, allow: [], deny: [] }
    expect(FLAG_DEFAULTS[environment]).toEqual(Object.fromEntries(FLAG_NAMES.map((name) => [name, off])))
  })

  test("on a developer's machine process webhooks, run the scheduler and send messages, and nothing else", () => {
    expect(FLAG_NAMES.filter((name) => FLAG_DEFAULTS.local[name].enabled)).toEqual([
      "WEBHOOK_PROCESSING_ENABLED",
      "SCHEDULER_ENABLED",
      "NOTIFICATIONS_ENABLED",
    ])
    expect(FLAG_DEFAULTS.local.SCHEDULER_ENABLED).toEqual({ enabled: true, percentage: 100, allow: [], deny: [] })
  })
})

describe("the rule", () => {
  test("not enabled is off for all, also for those on the allow list", () => {
    expect(evaluate("ROLLBACK_MODE", { ...OFF, allow: ["a"] }, "a")).toEqual({ isOn: false, because: "disabled" })
  })

  test("the deny list comes before the allow list, and both before the percentage", () => {
    expect(evaluate("ROLLBACK_MODE", share(100, { deny: ["a"], allow: ["a"] }), "a")).toEqual({
      isOn: false,
      because: "denied",
    })
    expect(evaluate("ROLLBACK_MODE", share(0, { allow: ["a"] }), "a")).toEqual({ isOn: true, because: "allowed" })
    expect(evaluate("ROLLBACK_MODE", share(0, { allow: ["a"] }), "b")).toEqual({ isOn: false, because: "nobody" })
    expect(evaluate("ROLLBACK_MODE", share(100), "b")).toEqual({ isOn: true, because: "everybody" })
  })

  test("on or off for all agrees with the evaluation of every company", () => {
    const values = [ON, OFF, share(0), share(50), share(100, { deny: ["a"] }), share(0, { allow: ["a"] })]
    expect(values.map(isOnForAll)).toEqual([true, false, false, false, false, false])
    expect(values.map(isOffForAll)).toEqual([false, true, true, false, false, false])
    expect(isOffForAll(share(0, { allow: ["a"], deny: ["a"] }))).toBe(true)
    expect(isOffForAll(share(0, { allow: ["a", "b"], deny: ["a"] }))).toBe(false)
    expect(isOffForAll(share(50, { allow: ["a"], deny: ["a"] }))).toBe(false)
  })

  test("a share is what is written, though 0.29 × 100 is a little less than 29", () => {
    const company = companiesOf((index) => `company_${index}`).find((id) => bucketOf("BI_DASHBOARD_V2", id) === 28)
    if (company === undefined) throw new Error("no company in that bucket")
    expect(evaluate("BI_DASHBOARD_V2", share(0.29), company)).toEqual({ isOn: true, because: "share" })
    expect(evaluate("BI_DASHBOARD_V2", share(0.28), company)).toEqual({ isOn: false, because: "share" })
  })

  test("a hundredth of a percent is the finest share", () => {
    const companies = companiesOf((index) => `company_${index}`)
    const first = companies.filter((id) => isOn(share(0.01), id))
    expect(first.every((id) => bucketOf("BI_DASHBOARD_V2", id) === 0)).toBe(true)
    expect(companies.filter((id) => !isOn(share(99.99), id)).map((id) => bucketOf("BI_DASHBOARD_V2", id))).toEqual(
      companies.filter((id) => bucketOf("BI_DASHBOARD_V2", id) === 9_999).map(() => 9_999),
    )
  })
})

/** 99 degrees of freedom: 148.2 is passed by one in a thousand even hashes; the input is fixed, so the test is not flaky. */
const CHI_SQUARE_MAX = 148.2

describe.each(Object.entries(FAMILIES))("companies with ids that are %s", (_, idOf) => {
  const companies = companiesOf(idOf)

  test.each(FLAG_NAMES)("are spread evenly over the hundredths of %s", (name) => {
    const counts = Array.from({ length: 100 }, () => 0)
    for (const id of companies) {
      const hundredth = Math.floor(bucketOf(name, id) / 100)
      counts[hundredth] = (counts[hundredth] ?? 0) + 1
    }
    const expected = COMPANIES / 100
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
    expect(chiSquare).toBeLessThan(CHI_SQUARE_MAX)
  })

  test("stay on when a percentage grows: raising it only adds companies, lowering only takes away", () => {
    let before = new Set<string>()
    for (const percentage of [0, 0.01, 0.5, 1, 5, 10, 20, 33.33, 50, 75, 99.99, 100]) {
      const now = new Set(companies.filter((id) => isOn(share(percentage), id)))
      expect([...before].filter((id) => !now.has(id))).toEqual([])
      expect(Math.abs(now.size / COMPANIES - percentage / 100)).toBeLessThan(0.01)
      before = now
    }
    expect(before.size).toBe(COMPANIES)
  })

  test("have one bucket for all switches: a smaller share of one is within a larger share of another", () => {
    const reached = companies.filter((id) => isOn(share(10), id, "NOTIFICATIONS_ENABLED"))
    expect(reached.filter((id) => !isOn(share(20), id, "SCHEDULER_ENABLED"))).toEqual([])
  })

  test("have another bucket for each feature: shares of features are independent", () => {
    const tenth = (name: FlagName) => companies.map((id) => isOn(share(10), id, name))
    const features = FLAG_NAMES.filter((name) => !SWITCH_NAMES.some((switchName) => switchName === name))
    const [first, ...others] = ["ROLLBACK_MODE" as const, ...features].map(tenth)
    for (const other of others) {
      const inBoth = other.filter((isInOther, index) => isInOther && first?.[index]).length
      // Of 20 000, a tenth of a tenth is 200; five standard deviations are 70.
      expect(Math.abs(inBoth - 200)).toBeLessThan(70)
    }
  })
})
