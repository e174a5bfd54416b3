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

/** A database with three companies, and the number of its queries. */
function database() {
  let queries = 0
  const execute = async () => {
    queries += 1
    return { rows: ["a", "b", "c"].map((id) => ({ id })) }
  }
  // Only this one method of the driver is reached.
  return { db: { execute } as unknown as Db, queries: () => queries }
}

const companies = async (set: SetFlags) => {
  const { db, queries } = database()
  return [await enabledCompanies({ db }, await flagsWith(set), SCHEDULER_SWITCH), queries()]
}

test("while every flag is on for all or off for all, the companies are not read", async () => {
  expect(await companies({})).toEqual([null, 0])
  expect(await companies({ SCHEDULER_ENABLED: setTo(OFF) })).toEqual([[], 0])
  expect(await companies({ NOTIFICATIONS_ENABLED: setTo({ percentage: 0 }) })).toEqual([[], 0])
  expect(await companies({ ROLLBACK_MODE: setTo({}) })).toEqual([[], 0])
})

test("with a flag that is on for some, the companies are those that meet all conditions", async () => {
  expect(await companies({ NOTIFICATIONS_ENABLED: setTo({ deny: ["a"] }) })).toEqual([["b", "c"], 1])
  expect(
    await companies({
      NOTIFICATIONS_ENABLED: setTo({ deny: ["a"] }),
      ROLLBACK_MODE: setTo({ percentage: 0, allow: ["b"] }),
    }),
  ).toEqual([["c"], 1])
})

test("the scheduler's switch stops scheduled work, not manual requests or events", async () => {
  const flags = await flagsWith({ SCHEDULER_ENABLED: setTo(OFF) })
  expect([isEnabledFor(flags, SCHEDULER_SWITCH, "a"), isEnabledFor(flags, NOTIFICATIONS_SWITCH, "a")]).toEqual([
    false,
    true,
  ])
})
