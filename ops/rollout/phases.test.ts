import { describe, expect, test } from "vitest"
import { FLAG_DEFAULTS } from "../../shared/domain/flags.ts"
import { type Flag, type Flags, PHASES, phaseOf, targetFlags } from "./phases.ts"

const ON: Flag = { enabled: true, percentage: 100, allow: [], deny: [] }
const OFF: Flag = { enabled: false, percentage: 0, allow: [], deny: [] }
const share = (percentage: number, allow: readonly string[] = []): Flag => ({
  enabled: true,
  percentage,
  allow,
  deny: [],
})

const FULL: Flags = {
  WEBHOOK_PROCESSING_ENABLED: ON,
  SCHEDULER_ENABLED: ON,
  NOTIFICATIONS_ENABLED: ON,
  ROLLBACK_MODE: OFF,
}
const DARK: Flags = { ...FULL, SCHEDULER_ENABLED: OFF, NOTIFICATIONS_ENABLED: OFF }
const LIMITED: Flags = {
  ...FULL,
  SCHEDULER_ENABLED: share(20, ["a", "b"]),
  NOTIFICATIONS_ENABLED: share(10, ["b", "a"]),
}
const ROLLBACK: Flags = { ...DARK, ROLLBACK_MODE: ON }

test("with all switches off, the default, staging and production are in the initial state", () => {
  const { staging, production } = FLAG_DEFAULTS
  for (const defaults of [staging, production]) expect(phaseOf(defaults)).toEqual({ phase: "initial" })
  expect(phaseOf({ ...DARK, WEBHOOK_PROCESSING_ENABLED: OFF })).toEqual({ phase: "initial" })
  expect(phaseOf(FLAG_DEFAULTS.local)).toEqual({ phase: "full" })
})

test.each([
  ["full", FULL],
  ["dark-launch", DARK],
  ["limited", LIMITED],
  ["rollback", ROLLBACK],
] as const)("these flags are %s", (phase, flags) => {
  expect(phaseOf(flags)).toEqual({ phase })
})

test.each([
  ["a flag that is enabled for nobody is off", { ...DARK, SCHEDULER_ENABLED: share(0) }, "dark-launch"],
  ["a flag that is disabled is off, whatever its share", { ...FULL, ROLLBACK_MODE: { ...ON, enabled: false } }, "full"],
  ["who is denied is denied in every phase", { ...FULL, SCHEDULER_ENABLED: { ...ON, deny: ["x"] } }, "full"],
  [
    "while it is rolled back, webhooks may be held or not",
    { ...ROLLBACK, WEBHOOK_PROCESSING_ENABLED: OFF },
    "rollback",
  ],
] as const)("%s", (_, flags, phase) => {
  expect(phaseOf(flags)).toEqual({ phase })
})

describe("a custom state", () => {
  const eleven = Array.from({ length: 11 }, (_, index) => `c${index}`)
  test.each([
    [{ ...FULL, SCHEDULER_ENABLED: share(50) }, "full", ["SCHEDULER_ENABLED"]],
    [{ ...FULL, NOTIFICATIONS_ENABLED: share(0, ["a"]) }, "full", ["NOTIFICATIONS_ENABLED"]],
    [{ ...FULL, ROLLBACK_MODE: ON }, "full", ["ROLLBACK_MODE"]],
    [{ ...ROLLBACK, NOTIFICATIONS_ENABLED: ON }, "rollback", ["NOTIFICATIONS_ENABLED"]],
    [{ ...ROLLBACK, ROLLBACK_MODE: { ...ON, deny: ["x"] } }, "dark-launch", ["ROLLBACK_MODE"]],
    [{ ...DARK, WEBHOOK_PROCESSING_ENABLED: share(50) }, "dark-launch", ["WEBHOOK_PROCESSING_ENABLED"]],
    [{ ...LIMITED, NOTIFICATIONS_ENABLED: share(10, ["a"]) }, "limited", ["NOTIFICATIONS_ENABLED"]],
    [
      { ...LIMITED, SCHEDULER_ENABLED: share(20, eleven), NOTIFICATIONS_ENABLED: share(10, eleven) },
      "dark-launch",
      ["SCHEDULER_ENABLED", "NOTIFICATIONS_ENABLED"],
    ],
  ] as const)("is custom, and says which flags differ from the nearest phase", (flags, nearest, names) => {
    const found = phaseOf(flags)
    if (found.phase !== "custom") throw new Error(`it is ${found.phase}`)
    expect([found.nearest, found.differences.map(({ name }) => name)]).toEqual([nearest, names])
  })
})

test("the target flags of every phase are that phase, from any state, and applying them again changes nothing", () => {
  const starts = [FULL, DARK, LIMITED, ROLLBACK, { ...FULL, SCHEDULER_ENABLED: share(50), ROLLBACK_MODE: ON }]
  for (const start of starts) {
    for (const phase of PHASES) {
      const goal = targetFlags(phase, start, ["a"])
      expect(phaseOf(goal)).toEqual({ phase })
      expect(targetFlags(phase, goal, ["a"])).toEqual(goal)
    }
  }
})

test("a rollback clears deny lists; other phases keep them", () => {
  const denied = { ...FULL, SCHEDULER_ENABLED: { ...ON, deny: ["x"] }, ROLLBACK_MODE: { ...OFF, deny: ["x"] } }
  expect(targetFlags("rollback", denied, []).ROLLBACK_MODE).toEqual(ON)
  expect(targetFlags("limited", denied, ["a"]).SCHEDULER_ENABLED).toEqual({ ...share(20, ["a"]), deny: ["x"] })
})
