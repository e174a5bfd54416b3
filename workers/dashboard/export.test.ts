import { Hono } from "hono"
import { expect, test } from "vitest"
import type { Services } from "../platform/services.ts"
import { exportOf } from "./export.ts"
import type { DashboardEnv } from "./page.tsx"

/** The lines of the file of a list that goes on for so many pages of one row. */
async function linesOf(pages: number): Promise<readonly string[]> {
  const app = new Hono<DashboardEnv>().get("/", (c) => {
    c.set("services", { now: () => new Date("2026-10-05T12:00:00Z") } as Services)
    const read = async ({ cursor = 1 }: { readonly cursor?: number | string }) => ({
      data: [{ id: Number(cursor), name: "=1+1" }],
      nextCursor: Number(cursor) < pages ? String(Number(cursor) + 1) : null,
    })
    return exportOf(c, "rows", read, ["id", "name"])
  })
  const response = await app.request("/")
  expect(response.headers.get("content-disposition")).toBe('attachment; filename="rows-2026-10-05.csv"')
  return (await response.text()).split("\r\n")
}

test("a file has the rows of all pages, with formulas made text", async () => {
  expect(await linesOf(2)).toEqual(["id,name", "1,'=1+1", "2,'=1+1", ""])
})

test("a list of as many pages as an export reads is complete", async () => {
  const lines = await linesOf(40)
  expect(lines).toHaveLength(42)
  expect(lines.at(-2)).toBe("40,'=1+1")
})

test("the last line of a file that lacks rows says so", async () => {
  const lines = await linesOf(41)
  expect(lines).toHaveLength(43)
  expect(lines.at(-2)).toBe("Incomplete: the export ended here. Narrow the filter to get the rest.,")
})
