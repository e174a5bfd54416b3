/** The operator's calls to a Worker that is measured. */
import { z } from "zod"
import { callApi } from "../../ops/deployment.ts"
import type { BenchmarkWorld } from "./world.ts"

/** Calls the operator's API. Throws when the answer is an error, or not of this form. */
export const callWorker = <Schema extends z.ZodType>(
  { world, worker }: BenchmarkWorld,
  path: string,
  schema: Schema,
  body: unknown,
): Promise<z.output<Schema>> =>
  callApi({ url: worker.url, key: world.adminApiKey, companyId: null }, "POST", path, schema, body)

const jobResult = z.object({ outcome: z.string(), counts: z.record(z.string(), z.number()) })

/** Runs a job now; returns its outcome and counts. */
export const runJobNow = (started: BenchmarkWorld, job: string): Promise<z.infer<typeof jobResult>> =>
  callWorker(started, `/jobs/${job}`, jobResult, {})
