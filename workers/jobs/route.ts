/** `POST /jobs/:job`: called by QStash with its signature, or by an operator with a key. */
import { Hono } from "hono"
import { fromUtf8 } from "../../shared/crypto/bytes.ts"
import { AppError } from "../platform/errors.ts"
import { authenticate, requirePermission } from "../platform/http/auth.ts"
import { limitBody } from "../platform/http/limit-body.ts"
import { done } from "../platform/jobs/job.ts"
import { type JobSource, runJob } from "../platform/jobs/run.ts"
import { isScheduled } from "../platform/jobs/schedules.ts"
import { limitInvalidRequests } from "../platform/limits/clients.ts"
import { verifyQstashSignature } from "../platform/qstash/verify.ts"
import type { AppEnv, Services } from "../platform/services.ts"
import { JOBS } from "./registry.ts"

/** A delivery in the fallback queue is at most 1 MiB, sealed and encoded in base64 twice. */
const BODY_BYTES_MAX = 2 * 1024 * 1024

export const jobs = new Hono<AppEnv>().post("/:job", limitInvalidRequests, limitBody(BODY_BYTES_MAX), async (c) => {
  const services = c.get("services")
  const body = new Uint8Array(await c.req.arrayBuffer())
  const source = await callerOf(services, c.req.param("job"), c.req.raw.headers, body)
  const job = JOBS.get(c.req.param("job"))
  if (!job) throw new AppError("NOT_FOUND", "There is no such job.")

  // A scheduled run is repeated at its next slot; as a dead letter it would only hide those that matter.
  const isScheduledRun = source === "qstash" && isScheduled(job.name)
  const start = { source, owner: c.get("requestId") }
  const result = await runJob(job, parseBody(body), services, start).catch((error: unknown) => {
    if (isScheduledRun) return done("failed")
    throw error
  })
  if (result.kind === "refused") return c.json({ job: job.name, outcome: result.reason, counts: {} })
  if (result.kind === "give_up") {
    // With this status and header QStash does not retry, and moves the message to its dead letters.
    const headers = { "content-type": "application/json", "Upstash-NonRetryable-Error": "true" }
    return new Response(JSON.stringify({ job: job.name, gaveUp: result.reason }), { status: 489, headers })
  }
  return c.json({ job: job.name, outcome: result.outcome, counts: result.counts })
})

async function callerOf(services: Services, job: string, headers: Headers, body: Uint8Array): Promise<JobSource> {
  const { config, log } = services
  if (headers.has("authorization") && !headers.has("upstash-signature")) {
    requirePermission(await authenticate(services, headers), "jobs:run")
    return "operator"
  }
  const verified = await verifyQstashSignature({
    signature: headers.get("upstash-signature"),
    body,
    url: `${config.appUrl}/jobs/${job}`,
    currentSigningKey: config.qstash.currentSigningKey,
    nextSigningKey: config.qstash.nextSigningKey,
    now: services.now(),
  })
  if (!verified.ok)
    throw new AppError("UNAUTHENTICATED", "The signature was not accepted.", { reason: verified.error.reason })
  if (verified.value.key === "next") log.warn("qstash_signed_with_next_key", { job })
  return "qstash"
}

/** An empty body is an empty payload; a body that is not JSON fails the job's schema, and the job gives up. */
function parseBody(body: Uint8Array): unknown {
  if (body.byteLength === 0) return {}
  try {
    return JSON.parse(fromUtf8(body))
  } catch {
    return null
  }
}
