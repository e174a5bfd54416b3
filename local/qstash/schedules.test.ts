import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Client } from "@upstash/qstash"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { SCHEDULES } from "../../workers/platform/jobs/schedules.ts"
import { createFaults } from "../faults.ts"
import { createClock } from "../time/clock.ts"
import { type Qstash, startQstash } from "./server.ts"

const TOKEN = "token_of_the_account"
const APP = "http://127.0.0.1:8787"
const STAGING = "http://localhost:8787"

let qstash: Qstash
/** Upstash's own client, to read the real state. */
let client: Client

beforeEach(async () => {
  qstash = await startQstash({
    ...{ clock: createClock(), faults: createFaults(), token: TOKEN },
    ...{ currentSigningKey: "sig_current_0123456789", nextSigningKey: "sig_next_0123456789" },
  })
  client = new Client({ baseUrl: qstash.url, token: TOKEN, devMode: false, retry: false, enableTelemetry: false })
})
afterEach(() => qstash.stop())

const COMMAND = fileURLToPath(new URL("../../ops/schedules.ts", import.meta.url))

/** Runs the command like `npm run schedules -- …`, with its own environment. */
async function schedules(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const settings = { QSTASH_URL: qstash.url, QSTASH_TOKEN: TOKEN, APP_URL: APP, ...env }
  const options = { env: { PATH: process.env.PATH ?? "", ...settings } }
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [COMMAND, ...args], options)
    return { code: 0, lines: stdout.split("\n").filter(Boolean), stderr }
  } catch (error) {
    const { code, stdout = "", stderr = "" } = error as { code?: number; stdout?: string; stderr?: string }
    return { code, lines: stdout.split("\n").filter(Boolean), stderr }
  }
}

const all = async () => (await client.schedules.list()).sort((a, b) => (a.scheduleId < b.scheduleId ? -1 : 1))
const ofApp = async (app = APP) => (await all()).filter(({ destination }) => destination.startsWith(`${app}/`))

describe("sync", () => {
  test("creates missing schedules, and a second run changes nothing", async () => {
    const first = await schedules(["sync"])
    expect([first.code, first.lines.length]).toEqual([0, SCHEDULES.length])
    expect(first.lines.every((line) => line.startsWith("created churn-saver-"))).toBe(true)
    const made = await ofApp()
    expect(
      made
        .map(({ cron, destination, method, retries, isPaused }) => [cron, destination, method, retries, isPaused])
        .sort(),
    ).toEqual(SCHEDULES.map(({ job, cron }) => [cron, `${APP}/jobs/${job}`, "POST", 0, false]).sort())
    expect(await schedules(["sync"])).toMatchObject({ code: 0, lines: ["in step"] })
    // The next time moves with the clock.
    const withoutNextTime = (found: typeof made) => found.map((schedule) => ({ ...schedule, nextScheduleTime: null }))
    expect(withoutNextTime(await ofApp())).toEqual(withoutNextTime(made))
    expect((await schedules(["list"])).lines.every((line) => line.endsWith("in step"))).toBe(true)
  })

  test("corrects differences: cron, destination, retries, method and a pause", async () => {
    await schedules(["sync"])
    const [one, two, ...others] = await ofApp()
    if (!one || !two) throw new Error("two schedules are needed")
    await client.schedules.create({
      ...{ scheduleId: one.scheduleId, cron: "0 0 * * *", destination: `${APP}/jobs/other`, retries: 3, method: "PUT" },
    })
    await client.schedules.pause({ schedule: two.scheduleId })
    const listed = await schedules(["list"])
    expect(listed.code).toBe(2)
    const { lines } = await schedules(["sync"])
    expect(lines.sort()).toEqual(
      [
        `corrected ${one.scheduleId}  ${one.cron}  another cron, another destination, another method, another retries`,
        `corrected ${two.scheduleId}  ${two.cron}  is paused`,
      ].sort(),
    )
    const sent = ({ scheduleId, cron, destination, method, retries, isPaused }: typeof one) => ({
      scheduleId,
      cron,
      destination,
      method,
      retries,
      isPaused,
    })
    expect((await ofApp()).map(sent)).toEqual([one, two, ...others].map(sent))
    expect((await schedules(["sync"])).lines).toEqual(["in step"])
  })

  test("removes our obsolete schedules, also with former ids, and no others", async () => {
    const others = [
      ["churn-saver-reminders", `${STAGING}/jobs/reminders`],
      ["churn-saver-elsewhere", "http://127.0.0.1:9999/jobs/sweep"],
      ["somebody-elses", `${APP}/jobs/sweep`],
    ] as const
    for (const [scheduleId, destination] of others) {
      await client.schedules.create({ scheduleId, destination, cron: "0 * * * *" })
    }
    const kept = await all()
    for (const scheduleId of ["churn-saver-sweep", "churn-saver-gone"]) {
      await client.schedules.create({ scheduleId, destination: `${APP}/jobs/sweep`, cron: "* * * * *" })
    }
    const { lines } = await schedules(["sync"])
    expect(lines.filter((line) => line.startsWith("removed")).length).toBe(2)
    expect((await all()).filter(({ scheduleId }) => kept.some((one) => one.scheduleId === scheduleId))).toEqual(kept)
    expect(await all()).toHaveLength(others.length + SCHEDULES.length)

    const removed = await schedules(["remove"])
    expect(removed.lines).toHaveLength(SCHEDULES.length)
    expect(await all()).toEqual(kept)
    expect((await schedules(["remove"])).lines).toEqual(["none"])
  })

  test("of two deployments in one account does not conflict", async () => {
    await schedules(["sync"])
    await schedules(["sync"], { APP_URL: STAGING })
    expect(await all()).toHaveLength(2 * SCHEDULES.length)
    expect((await schedules(["sync"])).lines).toEqual(["in step"])
    expect((await schedules(["sync", "--app-url", `${STAGING}/`])).lines).toEqual(["in step"])
  })

  test("with --dry-run shows the changes and makes none", async () => {
    const { lines } = await schedules(["sync", "--dry-run"])
    expect(lines.every((line) => line.startsWith("would create"))).toBe(true)
    expect(await all()).toEqual([])
    const json = await schedules(["sync", "--dry-run", "--json"])
    expect(JSON.parse(json.lines.join(""))).toMatchObject({
      isDryRun: true,
      changes: SCHEDULES.map(() => ({ action: "create" })),
    })
  })
})

test("a missing or wrong option is reported in one line", async () => {
  const faults: readonly (readonly [readonly string[], Record<string, string>, RegExp])[] = [
    [["sync"], { QSTASH_TOKEN: "" }, /--qstash-token/],
    [["sync"], { APP_URL: "" }, /--app-url/],
    [["sync"], { APP_URL: "ftp://x" }, /--app-url/],
    [["sync"], { QSTASH_TOKEN: "wrong" }, /does not accept the token/],
    [["sync"], { QSTASH_URL: "http://127.0.0.1:1" }, /did not do it: .*unreachable/],
    [["purge"], {}, /sync\|list\|remove/],
    [["sync", "--nothing"], {}, /--nothing/],
  ]
  for (const [args, env, message] of faults) {
    const { code, stderr } = await schedules(args, env)
    expect([args, env, code]).toEqual([args, env, 1])
    expect(stderr).toMatch(message)
    expect(stderr).not.toContain(TOKEN)
  }
})
