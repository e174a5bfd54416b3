import { describe, expect, test } from "vitest"
import { TableError } from "./csv.ts"
import { readLabel, UNLABELLED } from "./label.ts"
import { readField, TableBuilder } from "./table.ts"
import { typeTable } from "./typed-table.ts"

/** A table from columns of words. */
function tableOf(columns: Readonly<Record<string, readonly string[]>>) {
  const names = Object.keys(columns)
  const builder = new TableBuilder(names)
  const rows = Math.max(...Object.values(columns).map((values) => values.length))
  for (let row = 0; row < rows; row++) builder.add(names.map((name) => columns[name]?.[row] ?? ""))
  return builder.build()
}
const repeat = (rows: number, value: (row: number) => string) => Array.from({ length: rows }, (_, row) => value(row))
const NONE: ReadonlySet<string> = new Set()

describe("a field", () => {
  test.each([
    ["12", 12],
    [" -3.5e2 ", -350],
    ["+.5", 0.5],
    ["007", 7],
    ["1e400", null],
    ["", null],
    ["  ", null],
    ["NA", null],
    ["NaN", null],
    ["null", null],
    ["-Infinity", null],
    ["0x10", "0x10"],
    ["1,5", "1,5"],
    ["No", "No"],
    ["12 months", "12 months"],
    ["-", "-"],
  ])("%j is %j", (text, value) => {
    expect(readField(text)).toBe(value)
  })
})

describe("types of columns", () => {
  test("numbers with a few blanks are numbers", () => {
    const table = tableOf({
      TotalCharges: repeat(100, (row) => (row % 10 === 0 ? " " : String(row * 1.5))),
      x: repeat(100, (row) => "ab".charAt(row % 2)),
    })
    const { matrix } = typeTable(table, NONE)
    expect(matrix.features).toEqual([
      { name: "TotalCharges", type: "number" },
      { name: "x", type: "category", levels: ["a", "b"] },
    ])
    expect(matrix.columns[0]?.[10]).toBeNaN()
    expect(matrix.columns[0]?.[11]).toBe(16.5)
    expect([...(matrix.columns[1] ?? [])].slice(0, 3)).toEqual([0, 1, 0])
  })

  test("a word among many numbers is missing, with a remark", () => {
    const table = tableOf({ age: repeat(200, (row) => (row === 7 ? "unknown" : String(row % 90))) })
    const { matrix, remarks } = typeTable(table, NONE)
    expect(matrix.features[0]?.type).toBe("number")
    expect(matrix.columns[0]?.[7]).toBeNaN()
    expect(remarks).toEqual(["age: unknown among the numbers count as missing."])
  })

  test("a mix of codes and words is a category", () => {
    const { matrix } = typeTable(tableOf({ code: repeat(60, (row) => ["1", "2", "A"][row % 3] ?? "") }), NONE)
    expect(matrix.features).toEqual([{ name: "code", type: "category", levels: ["1", "2", "A"] }])
  })

  test("rare levels count as missing", () => {
    const table = tableOf({ plan: repeat(200, (row) => (row < 190 ? "ab".charAt(row % 2) : `only ${row}`)) })
    const { matrix, remarks } = typeTable(table, NONE)
    expect(matrix.features).toEqual([{ name: "plan", type: "category", levels: ["a", "b"] }])
    expect(matrix.columns[0]?.[195]).toBeNaN()
    expect(remarks[0]).toContain("10 of its 12 values are too rare")
  })

  test("of too many levels the most frequent are kept", () => {
    const rows = 300 * 300
    const table = tableOf({
      zip: repeat(rows, (row) => `z${Math.floor(Math.sqrt(row))}`),
      y: repeat(rows, (row) => String(row % 7)),
    })
    const feature = typeTable(table, NONE).matrix.features[0]
    expect(feature?.type === "category" && feature.levels).toHaveLength(250)
    expect(feature?.type === "category" && feature.levels.includes("z299")).toBe(true)
    expect(feature?.type === "category" && feature.levels.includes("z3")).toBe(false)
  })

  test("ids, row numbers, constant and empty columns are left out, with remarks", () => {
    const table = tableOf({
      customerID: repeat(300, (row) => `c-${row * 7}`),
      RowNumber: repeat(300, (row) => String(row + 1)),
      "column 1": repeat(300, (row) => String(row)),
      account_id: repeat(300, (row) => String(1_000_003 + row * 17)),
      phone: repeat(300, (row) => `382-${4_000 + row}`),
      country: repeat(300, () => "DE"),
      zero: repeat(300, () => "0"),
      nothing: repeat(300, () => ""),
      paid: repeat(300, (row) => String(row % 13)),
    })
    const { matrix, remarks, idColumn } = typeTable(table, NONE)
    expect(matrix.features.map(({ name }) => name)).toEqual(["paid"])
    expect(remarks).toHaveLength(8)
    expect(idColumn).toBe(0)
  })

  test("an id with several rows is an id; a plan_id with four values is a category", () => {
    const table = tableOf({
      customer_id: repeat(1_000, (row) => `c${row % 200}`),
      plan_id: repeat(1_000, (row) => `p${row % 4}`),
    })
    const { matrix, idColumn } = typeTable(table, NONE)
    expect(matrix.features.map(({ name }) => name)).toEqual(["plan_id"])
    expect(idColumn).toBe(0)
  })

  test("one value and missing is a feature, because missingness may be predictive", () => {
    const { matrix } = typeTable(tableOf({ seen: repeat(50, (row) => (row % 2 === 0 ? "1" : "")) }), NONE)
    expect(matrix.features).toHaveLength(1)
  })

  test("a table without features is an error with the reason", () => {
    expect(() => typeTable(tableOf({ a: repeat(9, () => "1") }), NONE)).toThrow(TableError)
  })
})

describe("a label", () => {
  const label = (values: readonly string[], positive?: string) => {
    const [column] = tableOf({ churn: values }).columns
    if (column === undefined) throw new Error("no column")
    return readLabel(column, positive === undefined ? {} : { positive })
  }

  test.each([
    [["0", "1"], "1"],
    [["0.0", "1.0"], "1"],
    [["-1", "1"], "1"],
    [["Yes", "No"], "Yes"],
    [["n", "y"], "y"],
    [["False", "True"], "True"],
    [["False.", "True."], "True."],
    [["Churned", "Stayed"], "Churned"],
    [["Attrited Customer", "Existing Customer"], "Attrited Customer"],
    [["not churned", "churned"], "churned"],
    [["gold", "retained"], "gold"],
  ])("%j: %s left", (values, positive) => {
    expect(label(values)).toMatchObject({ positive, events: 1, unlabelled: 0 })
  })

  test("rows without a label are marked", () => {
    expect([...label(["Yes", "", "No", "NA"]).outcomes]).toEqual([1, UNLABELLED, 0, UNLABELLED])
  })

  test.each([
    [["1", "2"], 'Which value of the label churn means "left", 1 or 2? Say so with --positive.'],
    [["red", "blue"], 'Which value of the label churn means "left", blue or red? Say so with --positive.'],
    [["No", "No"], "The label churn has one outcome only (No); there is nothing to learn."],
    [["", "NA"], "The label churn is empty in every row."],
    [["a", "b", "c"], "more than two values (a, b, c)"],
    [["1", "2", "3", "4", "5", "6", "7", "8"], "more than two values"],
  ])("%j is rejected", (values, message) => {
    expect(() => label(values)).toThrow(message)
  })

  test("--positive decides, and must occur", () => {
    expect(label(["1", "2"], "2")).toMatchObject({ positive: "2", events: 1 })
    expect(label(["stay", "go", "gone"], "go")).toMatchObject({ events: 1 })
    expect(() => label(["1", "2"], "3")).toThrow("The label churn is never 3; it is 1 or 2.")
  })
})
