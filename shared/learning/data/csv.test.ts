import { describe, expect, test } from "vitest"
import { Random } from "../random.ts"
import { CsvReader, csvField, TableError } from "./csv.ts"

/** Header and rows of a text that arrives in chunks of `chunkLength`. */
function read(text: string, chunkLength = text.length) {
  const reader = new CsvReader()
  const rows = []
  for (let at = 0; at < text.length; at += Math.max(1, chunkLength)) {
    rows.push(...reader.push(text.slice(at, at + Math.max(1, chunkLength))))
  }
  rows.push(...reader.end())
  return { header: reader.header, rows: rows.map(({ fields }) => fields), lines: rows.map(({ line }) => line) }
}

describe("a table is read correctly", () => {
  test.each([
    ["LF", "a,b\n1,2\n3,4\n"],
    ["CRLF", "a,b\r\n1,2\r\n3,4\r\n"],
    ["CR", "a,b\r1,2\r3,4\r"],
    ["no line break at the end", "a,b\n1,2\n3,4"],
    ["a byte-order mark", "\ufeffa,b\n1,2\n3,4\n"],
    ["semicolons", "a;b\n1;2\n3;4\n"],
    ["tabs", "a\tb\n1\t2\n3\t4\n"],
    ["bars", "a|b\n1|2\n3|4\n"],
    ["blank lines", "a,b\n\n1,2\n\n3,4\n\n"],
    ["quotes everywhere", '"a","b"\n"1","2"\r\n"3","4"'],
    ["quotes with a byte-order mark", '\ufeff"a",b\n1,2\n3,4'],
  ])("with %s, in chunks of any size", (_, text) => {
    for (const size of [1, 2, 3, 5, 100]) {
      expect(read(text, size)).toMatchObject({
        header: ["a", "b"],
        rows: [
          ["1", "2"],
          ["3", "4"],
        ],
      })
    }
  })

  test("quoted fields may contain delimiters, line breaks and quotes; a quote inside an unquoted field is literal", () => {
    const text = 'a,b\n"x, y","say ""hi""\nthere"\n5" pipe,"""",\n'.replace('"""",', '""""')
    for (const size of [1, 2, 7, 100]) {
      const { rows, lines } = read(text, size)
      expect(rows).toEqual([
        ["x, y", 'say "hi"\nthere'],
        ['5" pipe', '"'],
      ])
      expect(lines).toEqual([2, 4])
    }
  })

  test("any written fields are read back unchanged", () => {
    const random = new Random(11)
    const field = () => Array.from({ length: random.int(6) }, () => 'ab,"\n\r;|é '.charAt(random.int(10))).join("")
    const rows = Array.from({ length: 300 }, () => [`x${field()}`, field(), field()])
    const text = ["one,two,three", ...rows.map((row) => row.map(csvField).join(","))].join("\r\n")
    for (const size of [1, 13, 4096]) expect(read(text, size).rows).toEqual(rows)
  })

  test("names are trimmed, and a column without a name is named by its position", () => {
    expect(read(",  b ,c\n0,1,2\n").header).toEqual(["column 1", "b", "c"])
  })
})

describe("an invalid table is rejected with the line", () => {
  test.each([
    ["too few fields", "a,b\n1,2\n3\n", "Line 3 has 1 field, the header has 2."],
    ["too many fields", 'a,b\n"x\ny",2\n3,4,5\n', "Line 4 has 3 fields, the header has 2."],
    ["a quote that is not closed", 'a,b\n1,"2\n3,4\n', "Line 2 has a quote that is not closed."],
    ["nothing", "", "The file is empty."],
    ["blank lines", "\n\n", "The file is empty."],
    ["two columns of one name", "a,b,a\n1,2,3\n", "Two columns are named a."],
    ["bytes", "\u0000\u0001,b\n1,2\n", "The file is not text; a table is CSV, or CSV in gzip."],
  ])("%s", (_, text, message) => {
    for (const size of [1, 100]) expect(() => read(text, size)).toThrow(new TableError(message))
  })

  test("a row that does not end", () => {
    expect(() => read(`a,b\n"${"x".repeat(1 << 21)}`, 1 << 16)).toThrow("is a quote not closed?")
  })
})
