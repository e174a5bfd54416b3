/**
 * The command against a server that implements `/api/flags` and `/api/figures`, and can be made to fail. One file of more
 * than 300 lines, since all tests share that server.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { afterEach, describe, expect, test } from "vitest"
import { z } from "zod"
import { CommandError } from "../deployment.ts"
import { rollout } from "./command.ts"
import { FLAG_NAMES, type Flag, phaseOf } from "./phases.ts"

const KEY = "an-operators-key"
const ON: Flag = { enabled: true, percentage: 100, allow: [], deny: [] }
const GOOD_FIGURES = {
  windowMinutes: 15,
  isPartial: false,
  requests: 1_000,
  errorRate: 0,
  meanResponseMs: 40,
  areas: {},
  processing: { received: 100, processed: 100, failed: 0, waiting: 0, success: 1 },
  delivery: { sent: 0, failed: 0, unknown: 0, rate: null },
}

const flagBody = z.strictObject({
  enabled: z.boolean(),
  percentage: z.number(),
  allow: z.array(z.string()),
  deny: z.array(z.string()),
  reason: z.string().min(1),
})

const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

type Fault = "refused" | "reply lost" | null

/** A deployment in memory. `fault` makes a request fail; `reply lost` still has its effect. */
async function deployment(fault: (request: string, nth: number) => Fault = () => null) {
  const flags = new Map<string, Flag>(
    FLAG_NAMES.map((name) => [name, name === "ROLLBACK_MODE" ? { ...ON, enabled: false } : ON]),
  )
  const puts: { readonly name: string; readonly reason: string }[] = []
  const state = { figures: GOOD_FIGURES as object }
  let nth = 0

  const answer = (res: ServerResponse, status: number, body: object) =>
    res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
  const refuse = (res: ServerResponse, status: number, code: string) =>
    answer(res, status, { type: "x", title: "x", status, detail: `said ${code}`, code })

  const server = createServer(async (req: IncomingMessage, res: ServerResponse) => {
    const request = `${req.method} ${new URL(req.url ?? "/", "http://x").pathname}`
    const failure = fault(request, ++nth)
    if (req.headers.authorization !== `Bearer ${KEY}`) return refuse(res, 401, "UNAUTHENTICATED")
    if (failure === "refused") return refuse(res, 503, "UNAVAILABLE")
    const chunks: Buffer[] = []
    for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk)
    const name = request.replace("PUT /api/flags/", "")
    if (request === "GET /api/flags") {
      const data = [...flags].map(([flag, value]) => ({ name: flag, ...value, source: "redis", updatedAt: null }))
      return answer(res, 200, { data: [...data, { name: "BI_DASHBOARD_V2", ...ON }], nextCursor: null })
    }
    if (request === "GET /api/figures") return answer(res, 200, state.figures)
    if (request.startsWith("PUT ") && flags.has(name)) {
      const body = flagBody.safeParse(JSON.parse(Buffer.concat(chunks).toString()))
      if (!body.success) return refuse(res, 400, "MALFORMED")
      const { reason, ...value } = body.data
      flags.set(name, value)
      puts.push({ name, reason })
      if (failure === "reply lost") return req.socket.destroy()
      return answer(res, 200, { name, ...value })
    }
    return refuse(res, 404, "NOT_FOUND")
  })
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  stops.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo // a TCP server that listens has no other kind

  async function run(...args: string[]) {
    let out = ""
    let err = ""
    const url = `http://127.0.0.1:${port}`
    const code = await rollout([...args, "--url", url, "--key", KEY], {
      out: (text) => {
        out += text
      },
      err: (text) => {
        err += text
      },
    })
    return { code, out, err, json: <T>() => JSON.parse(out) as T }
  }
  const phase = () => {
    const [webhooks = ON, scheduler = ON, notifications = ON, rollback = ON] = FLAG_NAMES.map((name) => flags.get(name))
    return phaseOf({
      WEBHOOK_PROCESSING_ENABLED: webhooks,
      SCHEDULER_ENABLED: scheduler,
      NOTIFICATIONS_ENABLED: notifications,
      ROLLBACK_MODE: rollback,
    }).phase
  }
  return { run, flags, puts, phase, state }
}

test("a complete launch and a rollback", async () => {
  const { run, phase, flags, puts } = await deployment()
  expect((await run("dark-launch")).code).toBe(0)
  expect(phase()).toBe("dark-launch")
  expect((await run("limited", "--companies", "acme, globex", "--reason", "first ten")).code).toBe(0)
  expect(phase()).toBe("limited")
  expect(flags.get("NOTIFICATIONS_ENABLED")).toEqual({ ...ON, percentage: 10, allow: ["acme", "globex"] })
  expect(flags.get("SCHEDULER_ENABLED")).toEqual({ ...ON, percentage: 20, allow: ["acme", "globex"] })
  expect(puts.at(-1)?.reason).toBe("first ten")
  expect((await run("full")).code).toBe(0)
  expect(phase()).toBe("full")
  const before = puts.length
  expect((await run("rollback")).code).toBe(0)
  expect(puts.slice(before).map(({ name }) => name)).toEqual([
    "ROLLBACK_MODE",
    "NOTIFICATIONS_ENABLED",
    "SCHEDULER_ENABLED",
  ])
  expect(phase()).toBe("rollback")
  expect((await run("full")).code).toBe(1)
  expect((await run("limited")).code).toBe(1)
  expect((await run("dark-launch")).code).toBe(0)
  expect(phase()).toBe("dark-launch")
})

describe("status", () => {
  test("shows flags, metrics and gates, and changes nothing", async () => {
    const { run, puts } = await deployment()
    const { code, out } = await run("status")
    expect(code).toBe(0)
    for (const line of [
      "Phase: full",
      /SCHEDULER_ENABLED +on for 100 %/,
      /ROLLBACK_MODE +off/,
      /✔ error rate +0 % +wanted < 1 %/,
      /✔ delivery +no data +wanted > 95 % +\(no nudges yet\)/,
    ]) {
      expect(out).toMatch(line)
    }
    expect(puts).toEqual([])
  })

  test("names the state before the first launch, from which only a dark launch is allowed", async () => {
    const { run, flags, phase } = await deployment()
    for (const name of FLAG_NAMES) flags.set(name, { ...ON, enabled: false })
    expect((await run("status")).out).toContain("Phase: off (initial)")
    expect((await run("status", "--json")).json()).toMatchObject({ phase: "initial" })
    expect((await run("limited", "--companies", "acme")).out).toContain("limited follows dark-launch only")
    expect((await run("dark-launch")).code).toBe(0)
    expect(phase()).toBe("dark-launch")
  })

  test("of a custom state names the flags that differ", async () => {
    const { run, flags } = await deployment()
    flags.set("SCHEDULER_ENABLED", { ...ON, percentage: 50 })
    const { out } = await run("status")
    expect(out).toContain("Phase: custom (nearest: full)")
    expect(out).toContain("SCHEDULER_ENABLED is on for 50 %; full has it on for 100 %")
    expect((await run("status", "--json")).json()).toMatchObject({
      phase: "custom",
      nearest: "full",
      differences: [{ name: "SCHEDULER_ENABLED" }],
    })
  })

  test("without metrics shows the flags, and why there are none", async () => {
    const { run } = await deployment((request) => (request === "GET /api/figures" ? "refused" : null))
    const { code, out } = await run("status")
    expect(code).toBe(0)
    expect(out).toContain("No metrics: GET /api/figures?minutes=15 was answered 503: said UNAVAILABLE")
  })
})

describe("a refusal", () => {
  test("of a gate names the metric, changes nothing, and ends with 1", async () => {
    const { run, puts, state } = await deployment()
    await run("dark-launch")
    const before = puts.length
    state.figures = { ...GOOD_FIGURES, errorRate: 0.05, meanResponseMs: 2_500 }
    const { code, out } = await run("limited", "--companies", "acme")
    expect(code).toBe(1)
    expect(out).toContain("✘ error rate is 5 %, wanted < 1 %")
    expect(out).toContain("✘ mean response is 2500 ms, wanted < 2000 ms")
    expect(puts).toHaveLength(before)
    const json = (await run("limited", "--json")).json<{ ok: boolean; refused: string[]; gates: object[] }>()
    expect([json.ok, json.refused.length, json.gates.length]).toEqual([false, 2, 4])
  })

  test("of unavailable metrics, or of too many companies", async () => {
    const { run, phase } = await deployment((request, nth) =>
      request === "GET /api/figures" && nth > 4 ? "refused" : null,
    )
    await run("dark-launch")
    expect((await run("limited")).out).toContain("the metrics cannot be read")
    const eleven = Array.from({ length: 11 }, (_, index) => `c${index}`).join(",")
    expect((await run("limited", "--companies", eleven)).out).toContain("11 companies are named; at most 10 may be")
    expect(phase()).toBe("dark-launch")
  })

  test("of a skipped phase names the phase before", async () => {
    const { run } = await deployment()
    await run("dark-launch")
    const { code, out } = await run("full")
    expect(code).toBe(1)
    expect(out).toContain("full follows limited only; the deployment is in dark-launch")
  })
})

describe("a change that fails in the middle", () => {
  test("lists what is set and what is not", async () => {
    const { run, flags } = await deployment((request) =>
      request === "PUT /api/flags/NOTIFICATIONS_ENABLED" ? "refused" : null,
    )
    flags.set("SCHEDULER_ENABLED", { ...ON, enabled: false })
    flags.set("NOTIFICATIONS_ENABLED", { ...ON, enabled: false })
    const { code, out } = await run("limited", "--companies", "acme")
    expect(code).toBe(1)
    expect(out).toContain("limited is not complete:")
    expect(out).toMatch(/✔ SCHEDULER_ENABLED on for 20 % and acme: set/)
    expect(out).toMatch(
      /✘ NOTIFICATIONS_ENABLED on for 10 % and acme: not set \(PUT .* was answered 503: said UNAVAILABLE\)/,
    )
  })

  test("whose answer was lost is checked", async () => {
    const { run, phase } = await deployment((request) =>
      request === "PUT /api/flags/NOTIFICATIONS_ENABLED" ? "reply lost" : null,
    )
    const { out } = await run("dark-launch", "--json")
    const { changes } = JSON.parse(out) as { changes: { name: string; state: string }[] }
    expect(changes.map(({ name, state }) => [name, state])).toEqual([
      ["NOTIFICATIONS_ENABLED", "set"],
      ["SCHEDULER_ENABLED", "not set"],
    ])
    expect(phase()).toBe("custom")
  })

  test("is unknown when it cannot be checked afterwards", async () => {
    let hasPut = false
    const { run } = await deployment((request) => {
      hasPut ||= request.startsWith("PUT ")
      return hasPut ? "refused" : null
    })
    const { code, out } = await run("dark-launch")
    expect(code).toBe(1)
    expect(out).toMatch(/\? NOTIFICATIONS_ENABLED off: unknown/)
    expect(out).toMatch(/✘ SCHEDULER_ENABLED off: not set/)
  })
})

describe("a rollback", () => {
  test("continues when a flag fails, and reports it", async () => {
    const { run, flags } = await deployment((request) =>
      request === "PUT /api/flags/ROLLBACK_MODE" ? "refused" : null,
    )
    const { code, out } = await run("rollback")
    expect(code).toBe(1)
    expect(out).toMatch(/✘ ROLLBACK_MODE on for 100 %: not set/)
    expect([flags.get("SCHEDULER_ENABLED")?.enabled, flags.get("NOTIFICATIONS_ENABLED")?.enabled]).toEqual([
      false,
      false,
    ])
  })

  test("needs neither metrics nor readable flags", async () => {
    const { run, phase, flags } = await deployment((request) => (request.startsWith("GET ") ? "refused" : null))
    const { code, err } = await run("rollback")
    expect([code, phase(), flags.get("ROLLBACK_MODE")]).toEqual([0, "rollback", ON])
    expect(err).toContain("Rolling back anyway.")
  })

  test("twice changes nothing the second time", async () => {
    const { run, puts } = await deployment()
    await run("rollback")
    const before = puts.length
    const { code, out } = await run("rollback")
    expect([code, puts.length]).toEqual([0, before])
    expect(out).toContain("It is rollback already; nothing is changed.")
  })
})

test.each([
  [["sideways"]],
  [["full", "limited"]],
  [["status", "--minutes", "0"]],
  [["status", "--minutes", "90"]],
  [["--nonsense"]],
])("%j is answered with how it is used", async (args) => {
  const { run } = await deployment()
  await expect(run(...args)).rejects.toThrow(CommandError)
  await expect(run(...args)).rejects.toThrow(/npm run rollout/)
})

test("no command shows the help and ends with 1; --help ends with 0", async () => {
  const { run } = await deployment()
  expect(await run()).toMatchObject({ code: 1, out: expect.stringContaining("npm run rollout") })
  expect(await run("--help")).toMatchObject({ code: 0, out: expect.stringContaining("npm run rollout") })
})
