import { describe, expect, test } from "vitest"
import { awaitsApproval, type BrandInput, normalizeBrand, shownBrand } from "./brand.ts"

const input = (change: Partial<BrandInput> = {}): BrandInput => ({
  brandName: "Ada Fitness",
  companyName: "Ada Ltd",
  isTrusted: false,
  approved: [],
  ...change,
})

describe("the name that members read", () => {
  test.each<[string, Partial<BrandInput>, string]>([
    ["is the operator's where the company has chosen none", { brandName: null, approved: ["Old"] }, "Ada Ltd"],
    ["is the operator's until the chosen one is approved", {}, "Ada Ltd"],
    ["is the last approved one until the chosen one is approved", { approved: ["Newer", "Old"] }, "Newer"],
    ["is the chosen one once it is approved", { approved: ["Old", "Ada Fitness"] }, "Ada Fitness"],
    ["is the default company's own without an approval", { isTrusted: true }, "Ada Fitness"],
    ["is the chosen one where it is the operator's name", { companyName: "Ada Fitness" }, "Ada Fitness"],
    [
      "is compared without regard to spaces",
      { brandName: " Ada \u00a0 Fitness", approved: ["Ada Fitness"] },
      "Ada Fitness",
    ],
    ["is compared composed", { brandName: "Cafe\u0301", approved: ["Caf\u00e9"] }, "Caf\u00e9"],
  ])("%s", (_, change, expected) => {
    expect(shownBrand(input(change))).toBe(expected)
  })

  test.each([
    ["another case", "ada fitness"],
    ["a letter that looks alike", "\u0410da Fitness"],
    ["another width", "\uff21da Fitness"],
    ["a word more", "Ada Fitness Club"],
  ])("does not match an approved one with %s", (_, brandName) => {
    const other = input({ brandName, approved: ["Ada Fitness"] })
    expect(awaitsApproval(other)).toBe(true)
    expect(shownBrand(other)).toBe("Ada Fitness")
  })
})

test.each<[string, Partial<BrandInput>, boolean]>([
  ["waits for an approval", {}, true],
  ["that is approved does not wait", { approved: ["Ada Fitness"] }, false],
  ["that is the operator's does not wait", { companyName: "Ada  Fitness" }, false],
  ["of the default company does not wait", { isTrusted: true }, false],
  ["that was not chosen does not wait", { brandName: null }, false],
])("a name %s", (_, change, awaits) => {
  expect(awaitsApproval(input(change))).toBe(awaits)
})

test("a normalised name stays as it is", () => {
  const once = normalizeBrand(" Cafe\u0301 \t #1 ")
  expect(once).toBe("Caf\u00e9 #1")
  expect(normalizeBrand(once)).toBe(once)
})
