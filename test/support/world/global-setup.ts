/** The local worlds of the flows, one for each test process. */
import type { TestProject } from "vitest/node"
import { startFlowsWorld } from "./start-world.ts"

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const worlds = await Promise.all(Array.from({ length: project.config.maxWorkers }, () => startFlowsWorld()))
  project.provide(
    "worlds",
    worlds.map(({ access }) => access),
  )
  return async () => {
    await Promise.all(worlds.map(({ stop }) => stop()))
  }
}
