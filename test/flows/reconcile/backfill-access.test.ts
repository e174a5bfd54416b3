/** Who may import what: `/api/backfills`, and the errors of the command. */
import { beforeEach, describe, expect, test } from "vitest"
import { runBackfill, sinceOf, startBackfill, step } from "../../support/actions/backfills.ts"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { fresh } from "../../support/events/providers.ts"
import { setSwitchForAll } from "../../support/world/external-services.ts"
import { api, reset, sql, waitFor } from "../../support/world/world.ts"

beforeEach(reset)

describe("who may import what", () => {
  test("a company sees its own backfills and is imported through its own account only", async () => {
    const B = fresh("company")
    await addCompany(B)
    const key = await newApiKey("admin", B)
    const since = await sinceOf()
    const own = (await startBackfill({ provider: "stripe", since })).body
    expect((await api(`/api/backfills/${own.id}`, { key })).status).toBe(404)
    expect((await step(own.id, { key })).status).toBe(404)
    expect((await api<{ data: unknown[] }>("/api/backfills", { key })).body.data).toEqual([])

    const none = await startBackfill<{ code: string }>({ provider: "stripe", since }, { key })
    expect([none.status, none.body.code]).toEqual([409, "CONFLICT"])
    await sql("insert into company_accounts values ($1, 'stripe', 'acct_own')", [B])
    expect((await startBackfill({ provider: "stripe", since, account: "acct_other" }, { key })).status).toBe(409)
    const begun = await startBackfill<{ account: string }>({ provider: "stripe", since }, { key })
    expect([begun.status, begun.body.account]).toEqual([201, "acct_own"])
  })

  test("managers read, admins import, analysts do neither", async () => {
    const since = await sinceOf()
    const { body } = await startBackfill({ provider: "stripe", since })
    for (const [role, mayLook] of [
      ["success-analyst", 403],
      ["success-manager", 200],
      ["admin", 200],
    ] as const) {
      const key = await newApiKey(role)
      const mayRun = role === "admin" ? 200 : 403
      expect([role, (await api("/api/backfills", { key })).status]).toEqual([role, mayLook])
      expect([role, (await startBackfill({ provider: "stripe", since }, { key })).status]).toEqual([role, mayRun])
      expect([role, (await step(body.id, { key })).status]).toEqual([role, mayRun])
    }
  })

  test.each([
    [{ provider: "paddle", since: "2026-01-01" }],
    [{ provider: "stripe" }],
    [{ provider: "stripe", since: "yesterday" }],
    [{ provider: "stripe", since: "2100-01-01" }],
    [{ provider: "stripe", since: "1999-01-01" }],
    [{ provider: "stripe", since: "2026-01-02", until: "2026-01-01" }],
    [{ provider: "stripe", since: "2026-01-01", fast: true }],
  ])("refuses %j", async (body) => {
    expect((await startBackfill(body)).status).toBe(400)
  })

  test("an import waits while processing is off, and refuses another end until it is finished", async () => {
    const since = await sinceOf()
    const { body } = await startBackfill({ provider: "stripe", since })
    expect((await startBackfill({ provider: "stripe", since, until: "2026-01-31" })).status).toBe(409)
    await setSwitchForAll("WEBHOOK_PROCESSING_ENABLED", false)
    expect(await waitFor(async () => (await step(body.id)).status === 409)).toBe(true)
    await setSwitchForAll("WEBHOOK_PROCESSING_ENABLED", true)
  })

  test("the command prints one line with the error, and exits with 1", async () => {
    const wrong = await runBackfill("--provider", "stripe", "--since", "2100-01-01").ended
    expect([wrong.code, wrong.stdout, wrong.stderr.trim().split("\n")]).toEqual([
      1,
      "",
      [expect.stringContaining("400")],
    ])
    expect((await runBackfill("--provider", "stripe").ended).code).toBe(1)
    expect((await runBackfill("--nonsense").ended).code).toBe(1)
    const help = await runBackfill("--help").ended
    expect([help.code, help.stdout]).toEqual([0, expect.stringContaining("--since")])
  })
})
