import { readFileSync } from "node:fs"
import { expect, test } from "vitest"
import { JOBS } from "./registry.ts"
import { SCHEDULES } from "./schedules.ts"

test("every environment has the crons of the schedules, and every scheduled job is there", () => {
  const config = readFileSync(new URL("../../wrangler.toml", import.meta.url), "utf8")
  const lists = [...config.matchAll(/^crons = (\[.*\])$/gm)].map(([, list]) => JSON.parse(list ?? "[]") as string[])
  expect(lists).toHaveLength(3)
  for (const crons of lists) expect(crons.toSorted()).toEqual([...new Set(SCHEDULES.map(({ cron }) => cron))].sort())
  for (const { job } of SCHEDULES) expect(JOBS.has(job)).toBe(true)
})
