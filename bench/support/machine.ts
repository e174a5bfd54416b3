/** What a measurement ran on. */
import { availableParallelism, cpus } from "node:os"

export const machine = () => ({
  cores: availableParallelism(),
  cpu: cpus()[0]?.model ?? "unknown",
  node: process.versions.node,
})

/** The date and the machine, for the title of a report. */
export function whenAndWhere(at: Date): string {
  const { cores, cpu, node } = machine()
  return `${at.toISOString().slice(0, 10)}, ${cores} cores (${cpu}), Node ${node}`
}
