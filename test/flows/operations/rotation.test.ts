/**
 * Rotation of secrets under load: deliveries signed with the old or the new one are accepted while both are valid. Over 300
 * lines because API and command are tested on the same rotation.
 */
import { spawn } from "node:child_process"
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { ROOT } from "../../steps.ts"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { failPayment } from "../../support/actions/members.ts"
import { fresh, invoiceEvent, stripeSecrets, stripeSignature } from "../../support/events/providers.ts"
import { qstash } from "../../support/world/external-services.ts"
import { runInProcess } from "../../support/world/run-in-process.ts"
import { advanceClock, api, reset, sql, waitFor, world, worldNow } from "../../support/world/world.ts"

const [OLD, NEW, NEWER] = [
  "whsec_flows_own_old_secret_1",
  "whsec_flows_own_new_$ecret_2",
  "whsec_flows_own_newer_secret_3",
]
const PATH = "/api/secrets/webhooks"

let company: string
let directory: string

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "churn-saver-rotation-"))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))
beforeEach(async () => {
  await reset()
  company = fresh("company")
  await addCompany(company)
})

interface SecretBody {
  readonly id: string
  readonly fingerprint: string
  readonly expiresAt: string | null
  readonly isActive: boolean
  readonly createdBy: string
  readonly reason?: string
  readonly detail?: string
}

const asCompany = <T>(method: string, path: string, body?: unknown, id = company) =>
  api<T>(path, {
    method,
    headers: { "x-company-id": id, ...(body !== undefined && { "content-type": "application/json" }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
const add = (secret: string, more: object = {}) =>
  asCompany<SecretBody & { othersAcceptedUntil: string | null }>("POST", PATH, { provider: "stripe", secret, ...more })
const list = async () => (await asCompany<{ data: SecretBody[] }>("GET", PATH)).body.data
const end = (id: string, body?: object) => asCompany<SecretBody>("DELETE", `${PATH}/${id}`, body)

/** Sends one signed webhook to the company's own endpoint. */
const send = async (secret: string | undefined) =>
  (
    await failPayment(
      fresh("cus"),
      fresh("in"),
      {},
      {
        ...(secret !== undefined && { secret }),
        path: `/api/webhooks/stripe/${company}`,
      },
    )
  ).status

/** A stream of webhooks, two at a time, each signed with the current value of `secrets`, until it is stopped. */
function stream(secrets: () => readonly string[]) {
  const answers: number[] = []
  let isOn = true
  let turn = 0
  const lane = async () => {
    while (isOn) {
      const now = secrets()
      answers.push(await send(now[turn++ % now.length]))
    }
  }
  const lanes = [lane(), lane()]
  return {
    answers,
    async stop() {
      isOn = false
      await Promise.all(lanes)
    },
    atLeast: (count: number) => {
      const wanted = answers.length + count
      return waitFor(async () => answers.length >= wanted, 60)
    },
  }
}

describe("a company's own webhook secret", () => {
  test("is rotated under load without one refusal; after the overlap the old one is refused", async () => {
    await add(OLD)
    let inUse: readonly string[] = [OLD]
    const load = stream(() => inUse)
    await load.atLeast(15)
    const rotated = await add(NEW, { overlapHours: 2 })
    expect(rotated.status).toBe(201)
    // For a while the provider signs with either.
    await load.atLeast(10)
    inUse = [OLD, NEW]
    await load.atLeast(20)
    inUse = [NEW]
    await load.atLeast(15)
    await load.stop()
    expect(new Set(load.answers)).toEqual(new Set([200]))
    expect(load.answers.length).toBeGreaterThanOrEqual(60)

    expect(rotated.body.othersAcceptedUntil).toBe((await list())[1]?.expiresAt)
    await advanceClock("PT1H59M")
    expect(await send(OLD)).toBe(200)
    await advanceClock("PT2M")
    expect(await send(OLD)).toBe(401)
    expect(await send(NEW)).toBe(200)
    expect(await send(stripeSecrets()[0])).toBe(401)
  })

  test("is accepted by every other isolate within a minute", async () => {
    await add(OLD)
    // Another process of the Worker, with its own caches.
    const elsewhere = async (secret: string) => {
      const at = await worldNow()
      const event = invoiceEvent({ type: "invoice.payment_failed", at, customer: fresh("cus"), invoice: fresh("in") })
      const body = JSON.stringify(event)
      const signature = await stripeSignature(body, Math.floor(at.getTime() / 1000), secret)
      const url = `${world().vars.APP_URL}/api/webhooks/stripe/${company}`
      const headers = { "stripe-signature": signature }
      return (await runInProcess(new Request(url, { method: "POST", body, headers }), null)).status
    }
    expect(await elsewhere(OLD)).toBe(200)
    await add(NEW)
    expect(await send(NEW)).toBe(200)
    await advanceClock("PT1M1S")
    expect(await elsewhere(NEW)).toBe(200)
    expect(await elsewhere(OLD)).toBe(200)
  })

  test("is never shown, only its fingerprint", async () => {
    const { body } = await add(OLD)
    expect(body).toMatchObject({ provider: "stripe", expiresAt: null, isActive: true, createdBy: "admin" })
    expect(JSON.stringify([body, await list()])).not.toContain("whsec")
    expect(body.fingerprint).toMatch(/^[0-9a-f]{8}$/)
    expect(await list()).toEqual([expect.objectContaining({ id: body.id, fingerprint: body.fingerprint })])
    const stored = await sql("select encode(sealed, 'escape') as text from webhook_secrets")
    expect(JSON.stringify(stored)).not.toContain("whsec")
  })

  test.each([
    ["too short", "whsec_short"],
    ["blank", "                    "],
    ["with a space", "whsec_with a space in it"],
    ["with a comma", "whsec_with_a,_comma_in_it"],
  ])("that is %s is refused", async (_, secret) => {
    const { status, body } = await add(secret)
    expect(status).toBe(400)
    expect(body.detail).not.toContain("whsec")
  })

  test("that exists already is refused, also a sixth one, and one for an unknown company", async () => {
    await add(OLD)
    expect(await add(OLD)).toMatchObject({ status: 409 })
    for (const n of [1, 2, 3, 4]) expect((await add(`whsec_one_of_several_${n}`)).status).toBe(201)
    expect(await add("whsec_one_too_many_0")).toMatchObject({ status: 409 })
    expect((await asCompany("POST", PATH, { provider: "stripe", secret: OLD }, fresh("company"))).status).toBe(404)
    for (const overlapHours of [-1, 1.5, 169]) expect((await add(NEW, { overlapHours })).status).toBe(400)
  })

  test("is ended by id, the last one only with force", async () => {
    const old = await add(OLD)
    const fresher = await add(NEW)
    expect(await end(old.body.id)).toMatchObject({ status: 200, body: { isActive: false } })
    expect(await send(OLD)).toBe(401)
    expect((await end(fresher.body.id)).status).toBe(409)
    expect(await send(NEW)).toBe(200)
    expect((await end(fresher.body.id, { force: true })).status).toBe(200)
    expect(await send(NEW)).toBe(401)
    // The endpoint has no secret of its own any more.
    expect(await send(stripeSecrets()[0])).toBe(200)
    expect((await end("nobody")).status).toBe(404)
  })

  test("that is removed makes the previous one permanent, beyond its overlap", async () => {
    await add(OLD)
    const wrong = await add(NEW, { overlapHours: 1 })
    expect((await end(wrong.body.id)).status).toBe(200)
    await advanceClock("PT3H")
    expect(await send(OLD)).toBe(200)
    expect(await send(NEW)).toBe(401)
    expect(await send(stripeSecrets()[0])).toBe(401)
  })

  test("is managed by the company's admins only", async () => {
    await add(OLD)
    const [mine] = await list()
    const other = fresh("company")
    await addCompany(other)
    const foreign = await newApiKey("admin", other)
    expect((await api<{ data: unknown[] }>(PATH, { key: foreign })).body.data).toEqual([])
    expect((await api(`${PATH}/${mine?.id}`, { method: "DELETE", key: foreign })).status).toBe(404)
    for (const role of ["success-manager", "success-analyst"] as const) {
      const key = await newApiKey(role, company)
      expect((await api(PATH, { key })).status).toBe(403)
      expect((await api(`${PATH}/${mine?.id}`, { method: "DELETE", key })).status).toBe(403)
    }
  })
})

describe("QStash's keys", () => {
  const { QSTASH_URL: url = "", QSTASH_TOKEN: token = "" } = world().vars
  const headers = { authorization: `Bearer ${token}` }
  const rotate = async () => (await fetch(`${url}/v2/keys/rotate`, { method: "POST", headers })).status
  const publish = async () => {
    const target = `${world().vars.APP_URL}/jobs/reminders`
    const more = { ...headers, "content-type": "application/json", "upstash-retries": "0" }
    const response = await fetch(`${url}/v2/publish/${target}`, { method: "POST", headers: more, body: "{}" })
    return ((await response.json()) as { messageId: string }).messageId
  }
  /** Publishes a message; the status with which the Worker refused it, or null. */
  async function refusalOf(): Promise<number | null> {
    const messageId = await publish()
    return waitFor(async () => {
      const { messages } = await qstash<{ messages: { messageId: string; responseStatus: number }[] }>("/v2/dlq")
      const dead = messages.find((message) => message.messageId === messageId)
      if (dead) return { status: dead.responseStatus }
      const { events } = await qstash<{ events: { messageId: string; state: string }[] }>("/v2/events")
      const isDelivered = events.some((entry) => entry.messageId === messageId && entry.state === "DELIVERED")
      return isDelivered ? { status: null } : null
    }).then(({ status }) => status)
  }

  test("are accepted as current and, after a rotation, as next; a third one is not", async () => {
    expect(await refusalOf()).toBeNull()
    await rotate()
    expect(await refusalOf()).toBeNull()
    await rotate()
    expect(await refusalOf()).toBe(401)
  })
})

describe("npm run secrets", () => {
  /** Runs the command as a process; `stdin` is piped to it. */
  async function secrets(args: readonly string[], stdin = "", env: Readonly<Record<string, string>> = {}) {
    const node = join(ROOT, "node_modules", ".bin", "node")
    const child = spawn(node, ["--disable-warning=ExperimentalWarning", join(ROOT, "ops", "secrets.ts"), ...args], {
      env: { ...process.env, CHURN_SAVER_URL: world().workerUrl, CHURN_SAVER_KEY: world().adminApiKey, ...env },
    })
    const output = { stdout: "", stderr: "" }
    child.stdout.on("data", (chunk: Buffer) => {
      output.stdout += chunk.toString()
    })
    child.stderr.on("data", (chunk: Buffer) => {
      output.stderr += chunk.toString()
    })
    child.stdin.end(stdin)
    const code = await new Promise<number | null>((resolve) => child.once("exit", resolve))
    return { code, ...output, all: output.stdout + output.stderr }
  }

  test("rotates a company's webhook secret: both are accepted, then the new one alone", async () => {
    await add(OLD)
    const of = ["--webhook", "stripe", "--company", company]
    const rotated = await secrets(["rotate", ...of, "--overlap", "2"], `${NEW}\n`)
    expect(rotated).toMatchObject({ code: 0, stdout: expect.stringContaining("let stripe sign with the new one") })
    expect([await send(OLD), await send(NEW)]).toEqual([200, 200])
    const listed = await secrets(["list", "--company", company, "--json"])
    expect(JSON.parse(listed.stdout).data).toMatchObject([{ expiresAt: null }, { expiresAt: expect.any(String) }])
    expect(await secrets(["finish", ...of])).toMatchObject({ code: 0 })
    expect([await send(OLD), await send(NEW)]).toEqual([401, 200])
    expect(await secrets(["finish", ...of])).toMatchObject({ code: 1, stderr: "No rotation is under way.\n" })
    expect(await secrets(["rotate", ...of], NEW)).toMatchObject({ code: 1, stderr: expect.stringContaining("already") })
    // A secret cannot be an argument, and is never printed.
    const leaked = await secrets(["rotate", ...of, NEWER ?? ""])
    expect(leaked).toMatchObject({ code: 1 })
    expect(`${rotated.all}${listed.all}${leaked.all}`).not.toContain("whsec")
  })

  test("rotates QStash's keys in the file and at QStash, only once before the Worker has them", async () => {
    const file = join(directory, "secrets.staging.json")
    const {
      QSTASH_URL,
      QSTASH_TOKEN,
      QSTASH_CURRENT_SIGNING_KEY: first,
      QSTASH_NEXT_SIGNING_KEY: second,
    } = world().vars
    const before = {
      ...{ QSTASH_URL, QSTASH_TOKEN, QSTASH_CURRENT_SIGNING_KEY: first, QSTASH_NEXT_SIGNING_KEY: second },
      DATABASE_URL: "postgresql://churn_worker:pa$word'\"\\@db.example/x",
      STRIPE_WEBHOOK_SECRET: OLD,
    }
    writeFileSync(file, JSON.stringify(before), { mode: 0o644 })
    const read = () => JSON.parse(readFileSync(file, "utf8")) as Record<string, string>
    const of = ["--env", "staging", "--file", file]

    const dry = await secrets(["rotate", "--qstash", ...of, "--dry-run"])
    expect(dry).toMatchObject({ code: 0 })
    expect(await qstash("/v2/keys")).toEqual({ current: first, next: second })
    expect(read()).toEqual(before)

    const rotated = await secrets(["rotate", "--qstash", ...of])
    expect(rotated).toMatchObject({ code: 0, stdout: expect.stringContaining("wrangler secret bulk") })
    const keys = await qstash<{ current: string; next: string }>("/v2/keys")
    expect(keys.current).toBe(second)
    expect(read()).toEqual({
      ...before,
      QSTASH_CURRENT_SIGNING_KEY: keys.current,
      QSTASH_NEXT_SIGNING_KEY: keys.next,
    })
    expect(statSync(file).mode & 0o777).toBe(0o600)
    // After a second rotation before the upload every call of QStash would be refused.
    expect(await secrets(["rotate", "--qstash", ...of])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("upload"),
    })
    expect(await qstash("/v2/keys")).toEqual(keys)
    expect(await secrets(["finish", "--qstash", ...of])).toMatchObject({ code: 0 })

    // With --upload the file is passed to wrangler by name; no secret is an argument.
    const wrangler = join(directory, "wrangler")
    writeFileSync(wrangler, `#!/bin/sh\necho "$@" > '${directory}/asked'\ncp "$3" '${directory}/uploaded.json'\n`)
    chmodSync(wrangler, 0o755)
    const withWrangler = { PATH: `${directory}:${process.env.PATH}` }
    const webhook = await secrets(["rotate", "--webhook", "stripe", ...of, "--upload"], NEW, withWrangler)
    expect(webhook).toMatchObject({ code: 0 })
    expect(readFileSync(join(directory, "asked"), "utf8")).toBe(`secret bulk ${file} --env staging\n`)
    expect(JSON.parse(readFileSync(join(directory, "uploaded.json"), "utf8"))).toEqual({
      ...read(),
      STRIPE_WEBHOOK_SECRET: `${NEW},${OLD}`,
      DATABASE_URL: before.DATABASE_URL,
    })
    expect(await secrets(["finish", "--webhook", "stripe", ...of])).toMatchObject({ code: 1 })
    expect(`${dry.all}${rotated.all}${webhook.all}`).not.toMatch(/whsec|sig_/)
  })
})
