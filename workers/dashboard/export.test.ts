import { Hono } from "hono"
import { describe, expect, test } from "vitest"
import type { Services } from "../platform/services.ts"
import { exportOf } from "./export.ts"
import type { DashboardEnv } from "./page.tsx"
import type { Viewer } from "./viewer.ts"

/** The last line of a file that ends before the page at this cursor. */
const incompleteBefore = (cursor: number) =>
  `Incomplete. The other rows: https://app.example/?status=open&cursor=${cursor},`

interface Counting {
  readonly companyId: string
  /** Calls that the company may make in a minute. */
  readonly max?: number
  /** Whether Redis answers that the company's count, over all isolates, exceeds the limit. */
  readonly isOverElsewhere?: boolean
  /** The cursor that the file begins at. */
  readonly from?: number
}

/** The file of a list that goes on for so many pages of one row, and the counts that Redis got for it. */
async function fileOf(pages: number, { companyId, max = 1_000, isOverElsewhere = false, from }: Counting) {
  const reported: number[] = []
  let read = 0
  const services = {
    config: { appUrl: "https://app.example", limits: { apiPerMinute: max } },
    now: () => new Date("2026-10-05T12:00:00Z"),
    async sharedLimit(_limit: unknown, _key: string, count: number) {
      reported.push(count)
      return { isOver: isOverElsewhere, remaining: 0, resetMs: 1_000 }
    },
    waitUntil: () => undefined,
  } as unknown as Services
  const app = new Hono<DashboardEnv>().get("/", (c) => {
    c.set("services", services)
    c.set("viewer", { principal: { companyId } } as Viewer)
    return exportOf(
      c,
      "rows",
      async ({ cursor = 1 }: { readonly cursor?: number | string }) => {
        read += 1
        return {
          data: [{ id: Number(cursor), name: "=1+1" }],
          nextCursor: Number(cursor) < pages ? String(Number(cursor) + 1) : null,
        }
      },
      ["id", "name"],
    )
  })
  const response = await app.request(`/?status=open${from === undefined ? "" : `&cursor=${from}`}`)
  expect(response.headers.get("content-disposition")).toBe('attachment; filename="rows-2026-10-05.csv"')
  return { lines: (await response.text()).split("\r\n"), reported, read }
}

test("a file has the rows of all pages, with formulas made text", async () => {
  const { lines } = await fileOf(2, { companyId: "two" })
  expect(lines).toEqual(["id,name", "1,'=1+1", "2,'=1+1", ""])
})

test("a list of as many pages as an export reads is complete", async () => {
  const { lines } = await fileOf(40, { companyId: "forty" })
  expect(lines).toHaveLength(42)
  expect(lines.at(-2)).toBe("40,'=1+1")
})

test("the last line of a file that lacks rows says where the others are", async () => {
  const { lines } = await fileOf(43, { companyId: "more" })
  expect(lines).toHaveLength(43)
  expect(lines.at(-2)).toBe(incompleteBefore(41))
  expect((await fileOf(43, { companyId: "rest", from: 41 })).lines).toEqual([
    "id,name",
    "41,'=1+1",
    "42,'=1+1",
    "43,'=1+1",
    "",
  ])
})

describe("the limit of the API", () => {
  test("counts each page after the first one, and gets ten of them in one report", async () => {
    expect((await fileOf(1, { companyId: "one" })).reported).toEqual([])
    expect((await fileOf(8, { companyId: "eight" })).reported).toEqual([7])
    expect((await fileOf(40, { companyId: "many" })).reported).toEqual([10, 10, 10, 9])
  })

  test("ends a file whose company has made too many calls in this isolate, with the last line", async () => {
    const { lines, read } = await fileOf(10, { companyId: "busy here", max: 3 })
    expect(read).toBe(4)
    expect(lines.at(-3)).toBe("4,'=1+1")
    expect(lines.at(-2)).toBe(incompleteBefore(5))
  })

  test("ends a file whose company has made too many calls elsewhere, and the next one at once", async () => {
    const elsewhere = { companyId: "busy elsewhere", isOverElsewhere: true }
    const { lines, read } = await fileOf(40, elsewhere)
    expect(read).toBe(10)
    expect(lines.at(-2)).toBe(incompleteBefore(11))
    expect((await fileOf(40, elsewhere)).read).toBe(1)
  })
})
