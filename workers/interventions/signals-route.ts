/** `POST /api/usage` and `POST /api/signals`: what a company tells of its customers' use and of its support. */
import { type Context, Hono } from "hono"
import * as z from "zod"
import { withPermission } from "../platform/auth.ts"
import { firstIssue, validJson } from "../platform/request.ts"
import type { AppEnv } from "../platform/services.ts"
import { type Signal, signalSchema, usageSchema } from "../webhooks/signal.ts"
import { recordAll, type SignalOutcome } from "./record-signals.ts"

/** One request's signals are one transaction, and their customers one commit: as many as an import's page, twice. */
const BATCH_MAX = 100

/** Room for so many with ids of full length. */
const BODY_BYTES_MAX = 128 * 1024

/** A batch is judged item by item, so that one that is wrong does not keep the others back. */
const batchOf = (item: z.ZodType) => z.array(item).min(1).max(BATCH_MAX, `expected at most ${BATCH_MAX}`)

const usageBatch = z.strictObject({ records: batchOf(z.unknown()) })
const signalBatch = z.strictObject({ signals: batchOf(z.unknown()) })

const takeUsage = validJson(usageBatch, {
  bytesMax: BODY_BYTES_MAX,
  describedBy: z.strictObject({ records: batchOf(usageSchema) }),
})
const takeSignals = validJson(signalBatch, {
  bytesMax: BODY_BYTES_MAX,
  describedBy: z.strictObject({ signals: batchOf(signalSchema) }),
})

export const usage = new Hono<AppEnv>().post("/", withPermission("signals:write"), takeUsage, async (c) => {
  const { records } = c.req.valid("json")
  return answer(
    c,
    records.map((item) => read(usageSchema, item, (record) => ({ kind: "usage_recorded" as const, ...record }))),
  )
})

export const signals = new Hono<AppEnv>().post("/", withPermission("signals:write"), takeSignals, async (c) => {
  const { signals: items } = c.req.valid("json")
  return answer(
    c,
    items.map((item) => read(signalSchema, item, (signal) => signal)),
  )
})

/** An item that could be read, or what is wrong with it. */
type Read = { readonly id: string | null } & (
  | { readonly signal: Signal; readonly fault: null }
  | { readonly signal: null; readonly fault: string }
)

function read<Item extends { readonly id: string }>(
  schema: z.ZodType<Item>,
  given: unknown,
  asSignal: (item: Item) => Signal,
): Read {
  const parsed = schema.safeParse(given)
  if (parsed.success) return { id: parsed.data.id, signal: asSignal(parsed.data), fault: null }
  const named = z.object({ id: z.string().max(200) }).safeParse(given)
  return { id: named.success ? named.data.id : null, signal: null, fault: firstIssue(parsed.error) }
}

/** What the caller reads of an item that was not taken. */
const REFUSALS = {
  customer_unknown: "There is no such customer (yet): it may be sent again under the same id.",
  occurred_at_out_of_range: "occurredAt lies in the future, or more than ten years back.",
} as const

async function answer(c: Context<AppEnv>, items: readonly Read[]) {
  const readable = items.flatMap(({ signal }) => (signal === null ? [] : [signal]))
  const outcomes = [...(await recordAll(c.get("services"), c.get("principal").companyId, readable))]
  const data = items.map(({ id, fault }) => {
    const outcome = fault === null ? outcomes.shift() : undefined
    return { id, ...(outcome === undefined ? refusal("malformed", fault ?? "it does not fit") : show(outcome)) }
  })
  const count = (status: string) => data.filter((item) => item.status === status).length
  return c.json({ data, recorded: count("recorded"), duplicate: count("duplicate"), refused: count("refused") })
}

const show = (outcome: SignalOutcome) =>
  outcome.status === "refused" ? refusal(outcome.code, REFUSALS[outcome.code]) : { ...outcome, error: null }

const refusal = (code: string, detail: string) => ({
  status: "refused" as const,
  customerId: null,
  error: { code, detail },
})
