/** One local world for all flows. */
import type { TestProject } from "vitest/node"
import { startFlowsWorld } from "./start-world.ts"

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { access, stop } = await startFlowsWorld()
  project.provide("world", access)
  return stop
}
