import fc from "fast-check"
import { describe, expect, test } from "vitest"
import type { DeploymentMetrics } from "./gates.ts"
import { FLAG_NAMES, type Flag, type Flags, PHASES, type Phase, phaseOf, targetFlags } from "./phases.ts"
import { orderSafely, planPhase } from "./plan.ts"

const ON: Flag = { enabled: true, percentage: 100, allow: [], deny: [] }
const OFF: Flag = { enabled: false, percentage: 0, allow: [], deny: [] }
const FULL: Flags = {
  WEBHOOK_PROCESSING_ENABLED: ON,
  SCHEDULER_ENABLED: ON,
  NOTIFICATIONS_ENABLED: ON,
  ROLLBACK_MODE: OFF,
}
const of = (phase: Phase, companies: readonly string[] = []): Flags => targetFlags(phase, FULL, companies)
const CUSTOM: Flags = { ...FULL, SCHEDULER_ENABLED: { ...ON, percentage: 50 } }

const GOOD: DeploymentMetrics = {
  windowMinutes: 15,
  isPartial: false,
  requests: 1_000,
  errorRate: 0.001,
  meanResponseMs: 40,
  processing: { received: 100, processed: 100, failed: 0, waiting: 0, success: 1 },
  delivery: { sent: 40, failed: 0, unknown: 0, rate: 1 },
}
const BAD: DeploymentMetrics = { ...GOOD, errorRate: 0.02, delivery: { sent: 1, failed: 1, unknown: 0, rate: 0.5 } }

const names = (target: Phase, flags: Flags, companies: readonly string[] = []) =>
  planPhase(target, flags, GOOD, companies).changes.map(({ name }) => name)

describe("which phase change is allowed", () => {
  const starts = { ...Object.fromEntries(PHASES.map((phase) => [phase, of(phase)])), custom: CUSTOM }
  const allowed: Readonly<Record<Phase, readonly string[]>> = {
    "dark-launch": ["dark-launch", "limited", "full", "rollback", "custom"],
    limited: ["dark-launch", "limited"],
    full: ["limited", "full"],
    rollback: ["dark-launch", "limited", "full", "rollback", "custom"],
  }
  test.each(PHASES.flatMap((target) => Object.entries(starts).map(([from, flags]) => [from, target, flags] as const)))(
    "from %s to %s",
    (from, target, flags) => {
      const { refused, changes } = planPhase(target, flags, GOOD)
      const isAllowed = allowed[target].includes(from)
      expect(refused.length === 0).toBe(isAllowed)
      expect(changes.length > 0).toBe(isAllowed && from !== target)
      if (!isAllowed) expect(refused[0]).toContain(from)
    },
  )
})

describe("gates", () => {
  test("are required for limited and full, and name each failing metric", () => {
    for (const [target, from] of [
      ["limited", "dark-launch"],
      ["full", "limited"],
    ] as const) {
      expect(planPhase(target, of(from), BAD)).toMatchObject({
        changes: [],
        refused: ["error rate is 2 %, wanted < 1 %", "delivery is 50 %, wanted > 95 %"],
      })
    }
  })

  test("fail without metrics, or with those of one isolate alone", () => {
    expect(planPhase("full", of("limited"), null).refused).toHaveLength(1)
    expect(planPhase("full", of("limited"), { ...GOOD, isPartial: true }).refused).toHaveLength(1)
  })

  test("are not required for restrictions", () => {
    for (const figures of [BAD, null]) {
      expect(planPhase("dark-launch", FULL, figures).refused).toEqual([])
      expect(planPhase("rollback", FULL, figures).refused).toEqual([])
    }
  })
})

describe("companies", () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => `company_${index}`)

  test("ten are accepted, in both flags; eleven are refused", () => {
    const { changes, refused } = planPhase("limited", of("dark-launch"), GOOD, many(10))
    expect(refused).toEqual([])
    expect(changes.map(({ name, to }) => [name, to.percentage, to.allow])).toEqual([
      ["SCHEDULER_ENABLED", 20, many(10)],
      ["NOTIFICATIONS_ENABLED", 10, many(10)],
    ])
    expect(planPhase("limited", of("dark-launch"), GOOD, many(11))).toMatchObject({
      changes: [],
      refused: ["11 companies are named; at most 10 may be"],
    })
  })

  test("with invalid ids, or for another phase, are refused", () => {
    expect(planPhase("limited", of("dark-launch"), GOOD, ["a b"]).refused).toEqual(['"a b" is not the id of a company'])
    expect(planPhase("full", of("limited"), GOOD, ["a"]).refused).toHaveLength(1)
  })

  test("other than those of the limited launch need a new dark launch", () => {
    expect(planPhase("limited", of("limited", ["a"]), GOOD, ["a"])).toMatchObject({ changes: [], refused: [] })
    expect(planPhase("limited", of("limited", ["a"]), GOOD, ["b"]).refused[0]).toContain("limited with other companies")
  })
})

describe("the order of changes", () => {
  test("is restrictions first, the strongest first", () => {
    expect(names("rollback", FULL)).toEqual(["ROLLBACK_MODE", "NOTIFICATIONS_ENABLED", "SCHEDULER_ENABLED"])
    expect(names("dark-launch", FULL)).toEqual(["NOTIFICATIONS_ENABLED", "SCHEDULER_ENABLED"])
  })

  test("lifts the strongest restriction last", () => {
    const held = { ...of("rollback"), WEBHOOK_PROCESSING_ENABLED: OFF }
    expect(names("dark-launch", held)).toEqual(["WEBHOOK_PROCESSING_ENABLED", "ROLLBACK_MODE"])
    expect(names("full", of("limited", ["a"]))).toEqual(["SCHEDULER_ENABLED", "NOTIFICATIONS_ENABLED"])
  })

  const COMPANIES = ["a", "b", "c"]
  const flag = fc.record({
    enabled: fc.boolean(),
    percentage: fc.constantFrom(0, 10, 20, 50, 100),
    allow: fc.subarray(COMPANIES),
    deny: fc.subarray(COMPANIES),
  })
  const flags: fc.Arbitrary<Flags> = fc.record({
    WEBHOOK_PROCESSING_ENABLED: flag,
    SCHEDULER_ENABLED: flag,
    NOTIFICATIONS_ENABLED: flag,
    ROLLBACK_MODE: flag,
  })
  const isOnFor = ({ enabled, percentage, allow, deny }: Flag, company: string, bucket: number): boolean =>
    enabled && !deny.includes(company) && (allow.includes(company) || bucket < percentage)

  /** Every effect that is on for some company. */
  function effects(now: Flags): ReadonlySet<string> {
    const seen = new Set<string>()
    for (const company of [...COMPANIES, "anybody"]) {
      for (const bucket of [0, 15, 30, 75]) {
        const is = (name: keyof Flags) => isOnFor(now[name], company, bucket)
        if (is("WEBHOOK_PROCESSING_ENABLED")) seen.add(`process ${company} ${bucket}`)
        if (is("ROLLBACK_MODE")) continue
        if (is("SCHEDULER_ENABLED")) seen.add(`schedule ${company} ${bucket}`)
        if (is("NOTIFICATIONS_ENABLED")) seen.add(`send ${company} ${bucket}`)
      }
    }
    return seen
  }

  test("at no point enables anything that neither start nor target enables, and ends at the target", () => {
    fc.assert(
      fc.property(flags, fc.constantFrom(...PHASES), fc.subarray(COMPANIES), (start, phase, companies) => {
        // Only allowed changes; limited and full are reached from the phase before.
        const from =
          phase === "limited"
            ? targetFlags("dark-launch", start, [])
            : phase === "full"
              ? targetFlags("limited", start, companies)
              : start
        const goal = targetFlags(phase, from, companies)
        const allowed = new Set([...effects(from), ...effects(goal)])
        let now = from
        for (const { name, to } of orderSafely(from, goal)) {
          now = { ...now, [name]: to }
          expect([...effects(now)].filter((effect) => !allowed.has(effect))).toEqual([])
        }
        for (const name of FLAG_NAMES) expect(effects({ ...now, [name]: goal[name] })).toEqual(effects(goal))
        expect(phaseOf(now)).toEqual({ phase })
      }),
      { numRuns: 2_000 },
    )
  })
})
