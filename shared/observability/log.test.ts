import { NeonDbError } from "@neondatabase/serverless"
import { errors as upstash } from "@upstash/redis/cloudflare"
import { DrizzleQueryError } from "drizzle-orm"
import Stripe from "stripe"
import { describe, expect, test } from "vitest"
import * as z from "zod"
import { describeError } from "./describe-error.ts"
import { createLogger, type LogFields, type LogLevel } from "./log.ts"

const NOW = new Date("2026-03-01T10:00:00Z")

function lines(write: (log: ReturnType<typeof createLogger>) => void): string[] {
  const written: string[] = []
  write(createLogger({ now: () => NOW, write: (level: LogLevel, line) => written.push(`${level} ${line}`) }))
  return written
}

/** Fields that bypass the types. */
const untyped = (fields: Record<string, unknown>): LogFields => fields as LogFields

test("a line is JSON with time, level, event and fields", () => {
  const [line] = lines((log) =>
    log.with({ requestId: "r_1" }).info("webhook_recorded", { provider: "stripe", isNew: true }),
  )
  expect(line).toBe(
    'info {"time":"2026-03-01T10:00:00.000Z","level":"info","event":"webhook_recorded","requestId":"r_1","provider":"stripe","isNew":true}',
  )
})

test("fields that are not allowed are dropped and counted", () => {
  const fields = untyped({ email: "canary", body: { name: "canary" }, caseId: { deep: "canary" }, count: 2 })
  const [line = ""] = lines((log) => log.warn("slip", fields))
  expect(line).not.toContain("canary")
  expect(line).toContain('"count":2,"droppedFields":3')
})

test("text that looks like an address is redacted, and long text is truncated", () => {
  const [line = ""] = lines((log) =>
    log.info("slip", { customerId: "jenny@canary.example", reason: `postgres://u:canary@h ${"x".repeat(500)}` }),
  )
  expect(line).not.toContain("canary")
  expect(line.length).toBeLessThan(400)
})

test("no value can start a new line or reorder it on a screen", () => {
  const evil = 'a\nb\r\u0000\u001b[31m"}{\u2028\u2029\u202e\u200b\ufeff\u007f\u0085'
  const [line = ""] = lines((log) => log.error(evil, { reason: evil }))
  expect(line).toMatch(/^[\x20-\x7e]+$/)
  expect(JSON.parse(line.slice("error ".length))).toMatchObject({ reason: evil, event: evil })
})

const CANARY = "jenny@canary.example"

/** A Postgres error as the driver creates it: it contains the refused row several times. */
function neonError(): NeonDbError {
  const error = new NeonDbError(`duplicate key value violates unique constraint: Key (email)=(${CANARY})`)
  return Object.assign(error, {
    code: "23505",
    constraint: "customers_pkey",
    detail: `Key (email)=(${CANARY}) already exists.`,
    where: CANARY,
    table: "customers",
    sourceError: new Error(CANARY),
  })
}

function stripeError(): Error {
  return Stripe.errors.generateV1Error({
    type: "card_error",
    code: "card_declined",
    message: `The card of ${CANARY} was declined`,
    statusCode: 402,
    headers: { "x-canary": CANARY },
    param: CANARY,
    payment_method: { billing_details: { email: CANARY } },
  } as unknown as Parameters<typeof Stripe.errors.generateV1Error>[0]) // as the API sends it
}

function signatureError(): Error {
  return new Stripe.errors.StripeSignatureVerificationError(`t=1,v1=${CANARY}`, `{"email":"${CANARY}"}`, {
    message: `No signatures found matching ${CANARY}`,
  })
}

function zodError(): unknown {
  return z.object({ email: z.literal("x") }).safeParse({ email: CANARY, [CANARY]: 1 }).error
}

function syntaxError(): unknown {
  try {
    JSON.parse(`"${CANARY}`)
  } catch (error) {
    return error
  }
  return null
}

describe("an error is described without its data", () => {
  test.each<[string, () => unknown, object]>([
    ["of Postgres", neonError, { name: "NeonDbError", sqlState: "23505", constraint: "customers_pkey" }],
    [
      "of Drizzle",
      () => new DrizzleQueryError("insert into customers values ($1)", [CANARY], neonError()),
      { name: "DrizzleQueryError", cause: { sqlState: "23505", constraint: "customers_pkey" } },
    ],
    [
      "of Redis",
      () => new upstash.UpstashError(`ERR, command was: [["set","pii:${CANARY}"]]`),
      { name: "UpstashError" },
    ],
    ["of Stripe", stripeError, { name: "StripeCardError", code: "card_declined", status: 402 }],
    ["of a Stripe signature", signatureError, { name: "StripeSignatureVerificationError" }],
    ["of zod", zodError, { name: "ZodError" }],
    ["of JSON", syntaxError, { name: "SyntaxError" }],
    ["of a URL", () => Object.assign(new TypeError(`Invalid URL ${CANARY}`), { input: CANARY }), { name: "TypeError" }],
    [
      "with a message of several lines",
      () => new Error(`a\n    at ${CANARY} (x.js:1:1)\n    at canary (y.js:1:1)`),
      {},
    ],
    ["with a name of its own", () => Object.assign(new Error("x"), { name: CANARY, code: CANARY, reason: CANARY }), {}],
    ["with a cause", () => new Error("x", { cause: new Error(CANARY, { cause: CANARY }) }), { name: "Error" }],
    ["that is a text", () => CANARY, { name: "thrown string" }],
    ["that is nothing", () => undefined, { name: "thrown undefined" }],
  ])("%s", (_, make, expected) => {
    const error = make()
    const [line = ""] = lines((log) => log.error("failed", { error }))
    expect(line).not.toContain("canary")
    expect(line).not.toContain("jenny")
    if (error !== undefined) expect(describeError(error)).toMatchObject(Object.hasOwn(expected, "name") ? expected : {})
  })

  test("and keeps its position, without the folders of this machine", () => {
    const { frames = [] } = describeError(new Error("x"))
    expect(frames[0]).toMatch(/log\.test\.ts:\d+:\d+/)
    expect(frames.join()).not.toContain("/")
    expect(frames.length).toBeLessThanOrEqual(8)
  })

  test("our own errors keep code, reason, status and retry", () => {
    const error = Object.assign(new Error("x"), {
      name: "QstashError",
      code: "QSTASH",
      reason: "timeout",
      status: 503,
      retry: true,
    })
    expect(describeError(error)).toMatchObject({
      name: "QstashError",
      code: "QSTASH",
      reason: "timeout",
      status: 503,
      retry: true,
    })
  })
})

test("a cause that is its own cause, a getter that throws and a proxy that is revoked are described", () => {
  const loop = new Error("x")
  loop.cause = loop
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  const thrower = {
    get name(): string {
      throw new Error("no")
    },
  }
  expect(describeError(loop).cause?.cause?.cause?.cause).toBeDefined()
  expect(describeError(loop).cause?.cause?.cause?.cause?.cause).toBeUndefined()
  expect(describeError(proxy).name).toBe("object")
  expect(describeError(thrower).name).toBe("Object")
})
