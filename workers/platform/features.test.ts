import { ErrorCode, OpenFeature } from "@openfeature/server-sdk"
import { describe, expect, test } from "vitest"
import { ON } from "../../shared/domain/flags.ts"
import { flagDefaults, newFlagCache, readFlags, type SetFlags } from "../../shared/flags/flags.ts"
import { flagProvider } from "./features.ts"

const readFlagsOf = (set: SetFlags, isUnavailable = false) =>
  readFlags({
    memory: newFlagCache(),
    defaults: flagDefaults("local", {}),
    readRedis: async () => {
      if (isUnavailable) throw new Error("down")
      return { set, isComplete: true }
    },
    readCopy: async () => {
      throw new Error("down")
    },
    fillRedis: async () => {},
    now: () => new Date("2026-11-21T12:00:00Z"),
    waitUntil: () => {},
  })

const setTo = (value: object) => ({
  value: { ...ON, ...value },
  ...{ revision: 1, changeId: "c", updatedAt: "", updatedBy: "admin", reason: null },
})

/** An OpenFeature client over one set of flags. */
async function clientOf(domain: string, flags: Awaited<ReturnType<typeof readFlagsOf>> | null) {
  await OpenFeature.setProviderAndWait(
    domain,
    flagProvider(() => flags),
  )
  return OpenFeature.getClient(domain)
}

describe("OpenFeature over our flags", () => {
  test("evaluates a flag for the company in the targeting key, with the reason", async () => {
    const flags = await readFlagsOf({ BI_DASHBOARD_V2: setTo({ percentage: 50, allow: ["in"], deny: ["out"] }) })
    const client = await clientOf("why", flags)
    const ask = async (name: string, targetingKey: string) => {
      const { value, variant, reason } = await client.getBooleanDetails(name, false, { targetingKey })
      return [value, variant, reason]
    }
    expect(await ask("BI_DASHBOARD_V2", "in")).toEqual([true, "on", "TARGETING_MATCH"])
    expect(await ask("BI_DASHBOARD_V2", "out")).toEqual([false, "off", "TARGETING_MATCH"])
    expect((await ask("BI_DASHBOARD_V2", "any"))[2]).toBe("SPLIT")
    expect(await ask("REAL_TIME_PREDICTIONS", "any")).toEqual([false, "off", "DISABLED"])
    expect(await ask("NOTIFICATIONS_ENABLED", "any")).toEqual([true, "on", "STATIC"])
  })

  test("agrees with Flags.isOn for every company", async () => {
    const flags = await readFlagsOf({ BI_DASHBOARD_V2: setTo({ percentage: 33.3 }) })
    const client = await clientOf("agrees", flags)
    const companies = Array.from({ length: 200 }, (_, index) => `company_${index}`)
    const evaluated = await Promise.all(
      companies.map((targetingKey) => client.getBooleanValue("BI_DASHBOARD_V2", false, { targetingKey })),
    )
    expect(evaluated).toEqual(companies.map((id) => flags.isOn("BI_DASHBOARD_V2", id)))
    expect(new Set(evaluated).size).toBe(2)
  })

  test("reports STALE for flags that may be out of date", async () => {
    const client = await clientOf("stale", await readFlagsOf({}, true))
    expect(await client.getBooleanDetails("NOTIFICATIONS_ENABLED", true, { targetingKey: "any" })).toMatchObject({
      value: false,
      reason: "STALE",
    })
  })

  test("returns the caller's default after an error, with the error code", async () => {
    const client = await clientOf("faults", await readFlagsOf({}))
    const context = { targetingKey: "any" }
    expect(await client.getBooleanDetails("NO_SUCH_FLAG", true, context)).toMatchObject({
      value: true,
      errorCode: ErrorCode.FLAG_NOT_FOUND,
    })
    expect(await client.getBooleanDetails("ROLLBACK_MODE", true)).toMatchObject({
      value: true,
      errorCode: ErrorCode.TARGETING_KEY_MISSING,
    })
    expect(await client.getStringDetails("ROLLBACK_MODE", "x", context)).toMatchObject({
      value: "x",
      errorCode: ErrorCode.TYPE_MISMATCH,
    })
    expect(await (await clientOf("early", null)).getBooleanDetails("ROLLBACK_MODE", true, context)).toMatchObject({
      value: true,
      errorCode: ErrorCode.PROVIDER_NOT_READY,
    })
  })
})
