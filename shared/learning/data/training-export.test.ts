import { describe, expect, test } from "vitest"
import type { ModelFeature } from "../../scoring/model/artefact.ts"
import { Random } from "../random.ts"
import { anonymize, csvOf, type ExportableRow, K_ANONYMITY_MIN } from "./training-export.ts"

const FEATURES: ModelFeature[] = [
  { name: "tenure", type: "number" },
  { name: "rare_number", type: "number" },
  { name: "interval", type: "category", levels: ["month", "year", "shorter", "longer"] },
]

/** 200 customers over four months: years are rare, one customer is very old, one month has three rows. */
function ledger(): ExportableRow[] {
  const random = new Random("export")
  const rows = Array.from({ length: 400 }, (_, at): ExportableRow => {
    const month = at < 3 ? 0 : 1 + (at % 3)
    return {
      customerId: `cus_secret_${at % 200}`,
      asOf: new Date(Date.UTC(2026, month, 1 + random.int(28), random.int(24), random.int(60), 7)),
      isChurned: random.next() < 0.1,
      vector: {
        tenure: at === 17 ? 123_456.789 : random.int(1_000) + random.next(),
        rare_number: at < 5 ? at : null,
        interval:
          at < 320 ? "month" : at < 390 ? "year" : at < 395 ? "shorter" : at < 398 ? "longer" : "ann@example.com",
        email: "ann@example.com",
      },
    }
  })
  return rows
}

/** How many different groups share each value of a column. */
function sharers(
  columns: readonly string[],
  rows: readonly (readonly unknown[])[],
  name: string,
): Map<unknown, number> {
  const place = columns.indexOf(name)
  const groups = Map.groupBy(rows, (row) => row[place])
  return new Map([...groups].map(([value, of]) => [value, new Set(of.map(([group]) => group)).size]))
}

describe("an export for training", () => {
  test("contains no id, no exact time and no field that is not a feature", async () => {
    const rows = ledger()
    const csv = csvOf(await anonymize(rows, FEATURES, { salt: "s" }))
    expect(csv.split("\r\n")[0]).toBe("group,month,tenure,rare_number,interval,churned")
    expect(csv).not.toMatch(/cus_secret|example\.com|T\d\d:|:07/)
    expect(csv).not.toMatch(/2026-\d\d-\d\d/)
  })

  test("shows no month, level or extreme that fewer than ten customers share", async () => {
    const { columns, rows, rowsLeftOut, emptied } = await anonymize(ledger(), FEATURES, { salt: "s" })
    expect(rowsLeftOut).toBe(3)
    expect(rows).toHaveLength(397)
    expect(emptied).toEqual(["rare_number"])
    for (const name of ["month", "interval"]) {
      for (const [value, people] of sharers(columns, rows, name)) {
        if (value !== null) expect([name, value, people >= K_ANONYMITY_MIN]).toEqual([name, value, true])
      }
    }
    const levels = [...sharers(columns, rows, "interval").keys()]
    expect(levels).toEqual(expect.arrayContaining(["month", "year"]))
    expect(levels).not.toContain("longer")
    const tenures = rows.map((row) => Number(row[columns.indexOf("tenure")]))
    expect(Math.max(...tenures)).toBeLessThan(1_001)
    const top = tenures.filter((tenure) => tenure === Math.max(...tenures)).length
    expect(top).toBeGreaterThanOrEqual(K_ANONYMITY_MIN)
    for (const tenure of tenures) expect(Number(tenure.toPrecision(3))).toBe(tenure)
  })

  test("identifies a customer's rows, and cannot be joined with another export", async () => {
    const rows = ledger()
    const one = await anonymize(rows, FEATURES, { salt: "one" })
    const other = await anonymize(rows, FEATURES, { salt: "other" })
    const groups = (exported: typeof one) => new Set(exported.rows.map(([group]) => group))
    expect(groups(one).size).toBe(200)
    expect([...groups(one)].filter((group) => groups(other).has(group))).toEqual([])
    const order = (exported: typeof one) => exported.rows.map((row) => row.slice(1).join())
    expect(order(one)).not.toEqual(order(other))
    expect(order(one).sort()).toEqual(order(other).sort())
    expect(one.rows.filter((row) => row.at(-1) === 1)).toHaveLength(
      rows.slice(3).filter(({ isChurned }) => isChurned).length,
    )
  })

  test("of too few customers or of none is empty", async () => {
    expect(await anonymize(ledger().slice(0, 9), FEATURES, { salt: "s" })).toMatchObject({ rows: [], rowsLeftOut: 9 })
    expect(await anonymize([], FEATURES, { salt: "s" })).toMatchObject({ rows: [], rowsLeftOut: 0, emptied: [] })
  })

  test("is valid CSV with any content of levels", () => {
    expect(csvOf({ columns: ["a", "b"], rows: [['say "x", y', null]] })).toBe('a,b\r\n"say ""x"", y",\r\n')
  })
})
