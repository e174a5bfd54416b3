import { parse } from "csv-parse/sync"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { type Cell, csvRow, csvStream } from "./csv.ts"

describe("a row", () => {
  test.each<[string, readonly Cell[], string]>([
    ["plain cells", ["a", 1, true], "a,1,true\r\n"],
    ["what is not known is empty", [null, undefined, ""], ",,\r\n"],
    ["commas, quotes and line ends are quoted", ["a,b", 'say "x"', "two\nlines"], '"a,b","say ""x""","two\nlines"\r\n'],
    ["a formula is made text", ["=1+1", "+49 30", "-cmd", "@sum", "\tx"], "'=1+1,'+49 30,'-cmd,'@sum,'\tx\r\n"],
    ["a formula with a comma is made text and quoted", ["=HYPERLINK(a,b)"], '"\'=HYPERLINK(a,b)"\r\n'],
    ["a formula after a semicolon is made text", ["Ann;=1+1", "a; +1", "a;b"], "Ann;'=1+1,a; '+1,a;b\r\n"],
    ["a formula on a second line is made text", ["a\n=1+1"], '"a\n\'=1+1"\r\n'],
    ["a negative number stays a number", [-5, 0.5], "-5,0.5\r\n"],
  ])("%s", (_, cells, expected) => {
    expect(csvRow(cells)).toBe(expected)
  })

  test("any text that is no formula comes back as it was", () => {
    const text = fc.string({ unit: "binary" }).filter((value) => !/(^|[;\t\r\n] *)[=+\-@\t\r]/.test(value))
    fc.assert(
      fc.property(fc.array(text, { minLength: 2, maxLength: 5 }), (cells) => {
        expect(parse(csvRow(cells), { relax_column_count: true, record_delimiter: "\r\n" })).toEqual([cells])
      }),
    )
  })
})

describe("a file", () => {
  test("is read page by page, and ends", async () => {
    const asked: number[] = []
    async function* pages() {
      for (const page of [1, 2]) {
        asked.push(page)
        yield [[page, "x"]]
      }
    }
    const text = await new Response(csvStream(["page", "text"], pages())).text()
    expect(text).toBe("page,text\r\n1,x\r\n2,x\r\n")
    expect(asked).toEqual([1, 2])
  })

  test("a page that cannot be read breaks the download off, so that no half file looks whole", async () => {
    async function* pages(): AsyncGenerator<readonly Cell[][]> {
      yield [[1]]
      throw new Error("database away")
    }
    await expect(new Response(csvStream(["n"], pages())).text()).rejects.toThrow("database away")
  })

  test("a reader who leaves ends the reading", async () => {
    let isEnded = false
    async function* pages() {
      try {
        for (let page = 0; ; page++) yield [[page]]
      } finally {
        isEnded = true
      }
    }
    const reader = csvStream(["n"], pages()).getReader()
    await reader.read()
    await reader.read()
    await reader.cancel()
    expect(isEnded).toBe(true)
  })
})
