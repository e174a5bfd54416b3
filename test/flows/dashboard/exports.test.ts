/** Every list as a file, by role. */
import { beforeEach, describe, expect, test } from "vitest"
import { sinceOf, startBackfill } from "../../support/actions/backfills.ts"
import { newApiKey } from "../../support/actions/companies.ts"
import { signedInWith } from "../../support/actions/dashboard.ts"
import { failPayment } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import { reset, waitUntilProcessed, world } from "../../support/world/world.ts"

beforeEach(reset)

/** The first column of each list, and whether a company without history has rows of it. */
const LISTS: Readonly<Record<string, { readonly first: string; readonly hasRows: boolean }>> = {
  "/dashboard/cases": { first: "id", hasRows: true },
  "/dashboard/customers": { first: "id", hasRows: true },
  "/dashboard/messages": { first: "id", hasRows: true },
  "/dashboard/events": { first: "id", hasRows: true },
  "/dashboard/interventions": { first: "kind", hasRows: true },
  "/dashboard/imports": { first: "id", hasRows: true },
  "/dashboard/imports/reconciliations": { first: "id", hasRows: false },
  "/dashboard/jobs": { first: "name", hasRows: true },
  "/dashboard/dead-letters": { first: "kind", hasRows: false },
  "/dashboard/people": { first: "id", hasRows: false },
  "/dashboard/people/keys": { first: "id", hasRows: true },
  "/dashboard/people/sign-ins": { first: "id", hasRows: false },
}

describe("exports", () => {
  test("every list is a file with the columns of its answer", async () => {
    await failPayment(fresh("cus"), fresh("in"))
    await waitUntilProcessed()
    await startBackfill({ provider: "stripe", since: await sinceOf() })
    await newApiKey("admin")
    const operator = await signedInWith(world().adminApiKey)
    for (const [path, { first, hasRows }] of Object.entries(LISTS)) {
      const { status, headers, html } = await operator.get(`${path}/export`)
      const [head = "", ...lines] = html.trim().split("\r\n")
      expect([path, status, head.split(",")[0], lines.length > 0]).toEqual([path, 200, first, hasRows])
      expect(headers.get("content-type"), path).toContain("text/csv")
    }
  })

  test("a role exports only what it may read", async () => {
    const manager = await signedInWith(await newApiKey("success-manager"))
    for (const path of [
      "/dashboard/jobs",
      "/dashboard/people",
      "/dashboard/people/keys",
      "/dashboard/people/sign-ins",
    ]) {
      expect([path, (await manager.get(`${path}/export`)).status]).toEqual([path, 403])
    }
    const analyst = await signedInWith(await newApiKey("success-analyst"))
    for (const path of ["/dashboard/imports", "/dashboard/dead-letters"]) {
      expect([path, (await analyst.get(`${path}/export`)).status]).toEqual([path, 403])
    }
  })

  test("pages say how many rows a file has at most", async () => {
    const operator = await signedInWith(world().adminApiKey)
    for (const path of ["/dashboard/jobs", "/dashboard/imports", "/dashboard/people", "/dashboard/interventions"]) {
      expect((await operator.get(path)).html, path).toContain("up to 8,000 rows a file")
    }
  })
})
