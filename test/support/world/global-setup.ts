/** The local worlds of the flows, one for each test process. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestProject } from "vitest/node"
import { buildBundle } from "../../../local/processes/bundle.ts"
import { startFlowsWorld } from "./start-world.ts"

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dir = mkdtempSync(join(tmpdir(), "churn-saver-bundle-"))
  // A browser needs static files too.
  const bundle = project.name === "browser" ? null : await buildBundle(dir)
  const worlds = await Promise.all(Array.from({ length: project.config.maxWorkers }, () => startFlowsWorld(bundle)))
  project.provide(
    "worlds",
    worlds.map(({ access }) => access),
  )
  return async () => {
    await Promise.all(worlds.map(({ stop }) => stop()))
    rmSync(dir, { recursive: true, force: true })
  }
}
