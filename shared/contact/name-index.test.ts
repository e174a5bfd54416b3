import { expect, test } from "vitest"
import { parseKeyRing } from "../crypto/key-ring.ts"
import { nameIndexes, nameWords, wordIndexes } from "./name-index.ts"

const key = (fill: number): string => Buffer.alloc(32, fill).toString("base64")

test.each([
  ["José O'Neill-Groß", ["jose", "oneill", "gross"]],
  ["  ANN   smith ", ["ann", "smith"]],
  ["ﬁona Ⅳ", ["fiona", "iv"]],
  ["Ann Ann", ["ann"]],
  ["王 小明", ["王", "小明"]],
  ["— ! ?", []],
  ["a b c d e f g h", ["a", "b", "c", "d", "e", "f"]],
])("%s has the words %j", (name, words) => {
  expect(nameWords(name)).toEqual(words)
})

test("an index is equal for equal words of a company, and differs between companies and versions of the key", async () => {
  const parsed = parseKeyRing(`v1:${key(1)},v2:${key(2)}`)
  if (!parsed.ok) throw new Error(parsed.error.reason)
  const keys = parsed.value
  const [words, same, other] = [
    await wordIndexes(keys, "a", "Ann Smith"),
    await nameIndexes(keys, "a", "smith, ANN"),
    await nameIndexes(keys, "b", "Ann Smith"),
  ]
  expect(words).toHaveLength(2)
  expect(new Set(words.flat()).size).toBe(4)
  expect([...same].sort()).toEqual(words.flat().sort())
  expect(other.filter((index) => words.flat().includes(index))).toEqual([])
  expect(await nameIndexes(keys, "a", null)).toEqual([])
})
