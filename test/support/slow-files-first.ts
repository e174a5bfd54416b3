/** The order of test files: one that takes long must not start last, and run while the other processes have nothing to do. */
import { BaseSequencer, type TestSpecification } from "vitest/node"

/** Unit tests that take seconds; their size does not show it, and on a new machine no earlier run does. */
const SLOW_UNITS = /\.property\.test\.ts$|\/ops\/model\//

/** Flows of more than ten seconds. */
const SLOW_FLOWS = [
  "reconcile/backfill",
  "recovery/nudging",
  "webhooks/outages",
  "recovery/incentives",
  "platform/job-leases",
  "operations/flag-outages",
  "platform/outbound",
  "companies/side-by-side",
  "platform/rate-limits",
  "platform/database-limits",
  "scoring/known-at",
  "recovery/recovery",
  "reconcile/reconcile",
  "companies/credentials",
  "webhooks/test-mode",
  "webhooks/crash-points",
]

const isSlow = ({ moduleId }: TestSpecification): boolean =>
  SLOW_UNITS.test(moduleId) || SLOW_FLOWS.some((name) => moduleId.endsWith(`/flows/${name}.test.ts`))

/** Slow files first; the others as usual: the longest of the last run first, or the largest. */
export class SlowFilesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    return [...sorted.filter(isSlow), ...sorted.filter((file) => !isSlow(file))]
  }
}
