/** Starts jobs as QStash (signed), Cron Triggers or an operator do. */
import { createHash, createHmac } from "node:crypto"
import { type Answer, post } from "../events/providers.ts"
import { advanceClock, api, sql, world, worldNow } from "../world/world.ts"

export interface Signing {
  readonly key?: string | undefined
  readonly header?: object
  readonly claims?: Readonly<Record<string, unknown>>
  readonly url?: string
  readonly body?: string
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url")

/** QStash's signature, with parts replaced. */
export async function signed({
  key = world().vars.QSTASH_CURRENT_SIGNING_KEY,
  header,
  claims,
  url,
  body = "",
}: Signing): Promise<string> {
  const now = Math.floor((await worldNow()).getTime() / 1_000)
  const usual = {
    iss: "Upstash",
    sub: url ?? `${world().vars.APP_URL}/jobs/nudges`,
    exp: now + 300,
    nbf: now,
    iat: now,
    jti: "jwt_of_test",
    body: createHash("sha256").update(body).digest("base64url"),
  }
  const content = `${encode(header ?? { alg: "HS256", typ: "JWT" })}.${encode({ ...usual, ...claims })}`
  return `${content}.${createHmac("sha256", key ?? "")
    .update(content)
    .digest("base64url")}`
}

/** QStash delivers a message to a job: that of its schedule unless a body is given. */
export async function byQstash(job: string, body = "{}"): Promise<Answer> {
  const signature = await signed({ url: `${world().vars.APP_URL}/jobs/${job}`, body })
  return post(`/jobs/${job}`, body, { "upstash-signature": signature })
}

/** Fires a Cron Trigger for the minute of `at`. */
export async function byCron(cron: string, at: Date): Promise<void> {
  const url = new URL(world().scheduledUrl ?? "")
  url.searchParams.set("cron", cron)
  url.searchParams.set("time", String(at.getTime()))
  const response = await fetch(url)
  if (!response.ok) throw new Error(`the cron trigger was answered ${response.status}`)
  await response.arrayBuffer()
}

export interface JobBody {
  readonly name: string
  readonly schedule: string | null
  readonly isPaused: boolean
  readonly reason: string | null
  readonly lastRun: (Readonly<Record<string, unknown>> & { readonly startedAt: string; readonly id: string }) | null
  readonly running: (Readonly<Record<string, unknown>> & { readonly isStuck: boolean; readonly id: string }) | null
  readonly nextRunAt: string | null
  readonly heartbeats: { readonly qstash: string | null; readonly cron: string | null }
}

/** A job as the API shows it. */
export const jobOf = async (name: string): Promise<JobBody> => (await api<JobBody>(`/api/jobs/${name}`)).body

/** An operator's action on a job. */
export const postJobAction = (
  name: string,
  verb: "run" | "pause" | "resume" | "release",
  body?: object,
  key?: string,
) =>
  api<JobBody & { readonly code?: string; readonly outcome?: string; readonly detail?: string }>(
    `/api/jobs/${name}/${verb}`,
    {
      method: "POST",
      ...(key !== undefined && { key }),
      ...(body && { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    },
  )

/** In the rest of a minute after this second, a test on a busy machine may not end. */
const SECOND_MAX = 20

/** Moves the clock to the beginning of a minute, so that a test ends in the same slot of `sweep`, and deletes all runs. */
export async function advanceToNewMinute(): Promise<Date> {
  const second = (await worldNow()).getUTCSeconds()
  if (second > SECOND_MAX) await advanceClock(`PT${60 - second}S`)
  await sql("delete from job_runs")
  return worldNow()
}

export interface RunRow {
  readonly id: string
  readonly outcome: string | null
  readonly error: string | null
  readonly source: string
  readonly fence: string
}

/** The runs of a job, in the order of their fences. */
export const runsOf = (job: string) =>
  sql<RunRow & Record<string, unknown>>("select * from job_runs where job = $1 order by fence", [job])
