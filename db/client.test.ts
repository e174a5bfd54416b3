import { NeonDbError } from "@neondatabase/serverless"
import { DrizzleQueryError } from "drizzle-orm"
import { expect, test } from "vitest"
import { databaseFailure, isDatabaseUnavailable } from "./client.ts"

const failed = (code: string): NeonDbError => Object.assign(new NeonDbError("refused"), { code })

test.each([
  ["57014", "canceled", true], // statement_timeout
  ["55P03", "canceled", true], // lock_timeout
  ["25P03", "canceled", true], // idle_in_transaction_session_timeout
  ["57P01", "outcome_unknown", true],
  ["08006", "outcome_unknown", true],
  ["53300", "outcome_unknown", true],
  ["40P01", "conflict", false],
  ["23505", "conflict", false],
  ["CS001", "stale_version", false],
  ["CS002", "lost_lease", false],
  ["42501", "rejected", false],
])("SQLSTATE %s means %s", (code, failure, isAway) => {
  expect(databaseFailure(failed(code))).toBe(failure)
  expect(isDatabaseUnavailable(failed(code))).toBe(isAway)
  const wrapped = new DrizzleQueryError("select 1", [], failed(code))
  expect(databaseFailure(wrapped)).toBe(failure)
  expect(isDatabaseUnavailable(wrapped)).toBe(isAway)
})

test("an error without a Postgres code leaves the outcome unknown", () => {
  expect(databaseFailure(new NeonDbError("no answer"))).toBe("outcome_unknown")
  expect(isDatabaseUnavailable(new TypeError("a bug of ours"))).toBe(false)
})
