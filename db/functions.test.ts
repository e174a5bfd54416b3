import { expect, test } from "vitest"
import { asMigration, currentFunctions, migratedFunctions, pendingStatements } from "./functions.ts"

test("the migrations match db/functions (npm run db:functions writes what is missing)", () => {
  expect(asMigration(pendingStatements()).trim()).toBe("")
})

test("every function of the migrations has its file", () => {
  expect([...currentFunctions().keys()].sort()).toEqual([...migratedFunctions().keys()].sort())
})

test("a signature consists of the name and the types of the arguments", () => {
  expect(currentFunctions().get("has_late_facts")?.signature).toBe("has_late_facts(text, jsonb)")
  expect(currentFunctions().get("company_ids")?.signature).toBe("company_ids()")
})
