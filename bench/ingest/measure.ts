/** One measurement of one target. */
import type { Pattern } from "../load/load.ts"
import { type Measurement, measureLoad } from "../load/measure.ts"
import type { BenchmarkWorld } from "../support/world.ts"
import type { Scenario } from "./scenarios.ts"
import type { BenchmarkTarget } from "./targets.ts"

/** Measures a scenario; a target that must refuse it has to refuse every request. */
export async function measure(
  started: BenchmarkWorld,
  target: BenchmarkTarget,
  { source, refusedBy }: Scenario,
  pattern: Pattern,
): Promise<Measurement> {
  const expectedStatus = refusedBy.includes(target.name) ? 401 : 200
  const isOverload = pattern.kind !== "closed"
  const measured = await measureLoad(started, target, { source, pattern, expectedStatus, isOverload })
  const { postgresTrips, redisTrips, qstashTrips } = measured
  if (target.name === "churn-saver" && !source.isSigned && postgresTrips + redisTrips + qstashTrips > 0) {
    throw new Error("a delivery with a wrong signature made a round trip")
  }
  return measured
}
