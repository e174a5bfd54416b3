import { expect, test } from "vitest"
import type { Db } from "../../db/client.ts"
import { OFF, ON } from "../../shared/domain/flags.ts"
import { type Flags, flagDefaults, newFlagCache, readFlags, type SetFlags } from "../../shared/flags/flags.ts"
import { enabledCompanies, isEnabledFor, NOTIFICATIONS_SWITCH, SCHEDULER_SWITCH } from "./switches.ts"

const setTo = (value: object) => ({
  value: { ...ON, ...value },
  ...{ revision: 1, changeId: "c", updatedAt: "", updatedBy: "admin", reason: null },
})

const flagsWith = (set: SetFlags): Promise<Flags> =>
  readFlags({
    memory: newFlagCache(),
    defaults: flagDefaults("local", {}),
    readRedis: async () => ({ set, isComplete: true }),
    readCopy: async () => ({}),
    fillRedis: async () => {},
    now: () => new Date("2026-11-21T12:00:00Z"),
    waitUntil: () => {},
  })

/** A database that knows three companies, and counts how often it was asked. */
function database() {
  let asked = 0
  const execute = async () => {
    asked += 1
    return { rows: ["a", "b", "c"].map((id) => ({ id })) }
  }
  // Only this one method of the driver is reached.
  return { db: { execute } as unknown as Db, asked: () => asked }
}

const companies = async (set: SetFlags) => {
  const { db, asked } = database()
  return [await enabledCompanies({ db }, await flagsWith(set), SCHEDULER_SWITCH), asked()]
}

test("while every flag is for all or for none, the database is not asked which companies there are", async () => {
  expect(await companies({})).toEqual([null, 0])
  expect(await companies({ SCHEDULER_ENABLED: setTo(OFF) })).toEqual([[], 0])
  expect(await companies({ NOTIFICATIONS_ENABLED: setTo({ percentage: 0 }) })).toEqual([[], 0])
  expect(await companies({ ROLLBACK_MODE: setTo({}) })).toEqual([[], 0])
})

test("a flag that is on for a part leaves those for whom all conditions hold", async () => {
  expect(await companies({ NOTIFICATIONS_ENABLED: setTo({ deny: ["a"] }) })).toEqual([["b", "c"], 1])
  expect(
    await companies({
      NOTIFICATIONS_ENABLED: setTo({ deny: ["a"] }),
      ROLLBACK_MODE: setTo({ percentage: 0, allow: ["b"] }),
    }),
  ).toEqual([["c"], 1])
})

test("the scheduler's switch stops what goes by the clock, not what a person or an event asks for", async () => {
  const flags = await flagsWith({ SCHEDULER_ENABLED: setTo(OFF) })
  expect([isEnabledFor(flags, SCHEDULER_SWITCH, "a"), isEnabledFor(flags, NOTIFICATIONS_SWITCH, "a")]).toEqual([
    false,
    true,
  ])
})
