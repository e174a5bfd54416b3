/**
 * Unit tests share processes and modules (vitest.config.ts). What a file replaces in the process must be restored when it ends,
 * or the files after it would depend on their order.
 */
import { afterAll, beforeAll, expect } from "vitest"

const GLOBALS = [
  "fetch",
  "Date",
  "setTimeout",
  "clearTimeout",
  "setInterval",
  "queueMicrotask",
  "crypto",
  "console",
] as const

/** What a test may replace, by name. */
const replaceable = () => ({
  ...Object.fromEntries(GLOBALS.map((name) => [name, globalThis[name]])),
  random: Math.random,
  environment: JSON.stringify(process.env),
  folder: process.cwd(),
  exitCode: process.exitCode,
})

let before: Record<string, unknown> = {}

beforeAll(() => {
  before = replaceable()
})

afterAll(() => {
  for (const [name, value] of Object.entries(replaceable()))
    expect([name, value === before[name]]).toEqual([name, true])
})
