import { readFileSync } from "node:fs"
import { expect, test } from "vitest"
import { readCrons } from "../../../local/processes/cron-ticker.ts"
import { parseCron } from "../../../local/qstash/cron.ts"
import { JOBS } from "../../jobs/registry.ts"
import { type Cron, intervalMs, nextSlot, SCHEDULES, slotAt } from "./schedules.ts"

const CRONS: readonly Cron[] = ["* * * * *", "*/5 * * * *", "*/15 * * * *", "*/60 * * * *", "7 * * * *", "30 3 * * *"]
const MOMENTS = ["2026-02-28T23:59:59.999Z", "2026-03-01T00:00:00Z", "2026-03-01T03:30:00Z", "2026-12-31T12:07:01Z"]

test.each(CRONS)("the slots of %s are those of a complete cron parser", (cron) => {
  const oracle = parseCron(cron.replace("*/60", "0"))
  for (const moment of MOMENTS) {
    const at = new Date(moment)
    expect(nextSlot(cron, at)).toEqual(oracle.next(at))
    const slot = slotAt(cron, at)
    expect(slot.getTime()).toBeLessThanOrEqual(at.getTime())
    expect(oracle.next(new Date(slot.getTime() - 1))).toEqual(slot)
    expect(oracle.next(slot).getTime() - slot.getTime()).toBe(intervalMs(cron))
  }
})

test("a cron whose slots are not evenly spaced is refused", () => {
  expect(() => intervalMs("*/7 * * * *")).toThrow(/evenly/)
  expect(() => intervalMs("1-5 * * * *" as Cron)).toThrow(/evenly/)
})

test("every schedule has a job and slots, and is a Cron Trigger of every environment", () => {
  const file = new URL("../../../wrangler.toml", import.meta.url)
  expect(new Set(readCrons(file.pathname))).toEqual(new Set(SCHEDULES.map(({ cron }) => cron)))
  const lists = [...readFileSync(file, "utf8").matchAll(/^crons = \[(.*)\]$/gm)].map(([, list]) => list)
  expect(lists).toHaveLength(3)
  expect(new Set(lists).size).toBe(1)
  for (const { job, cron } of SCHEDULES) {
    expect(JOBS.has(job)).toBe(true)
    expect(intervalMs(cron)).toBeGreaterThan(0)
  }
  expect(new Set(SCHEDULES.map(({ job }) => job)).size).toBe(SCHEDULES.length)
})
