/**
 * The model of the demo: trained on the simulated subscriptions of `test/fixtures/learning/simsub`, whose members are not the
 * demo's. It is in service for the demo only; a deployment has none until somebody trains one.
 *
 *     npm run model -- train --events test/fixtures/learning/simsub/events.csv.gz \
 *       --data test/fixtures/learning/simsub/snapshots.csv.gz --label y --id customer_id --time t \
 *       --seed 1 --trained-at 2026-11-30 --out local/demo/model.json
 */
import { readFile } from "node:fs/promises"
import { z } from "zod"
import { askApi, callApi, type World } from "./http.ts"

export const MODEL_FILE = new URL("model.json", import.meta.url)

const VERSION = "demo"

const models = z.object({ data: z.array(z.object({ version: z.string(), state: z.string() })) })
const uploaded = z.object({ id: z.string() })

/** Puts the model in service for all companies, unless one serves already. It passes the quality gates like any other. */
export async function serveModel(world: World): Promise<void> {
  const { data } = await askApi(world, "/api/models?state=champion", models)
  if (data.length > 0) return
  const path = `/api/models?version=${VERSION}&scope=shared`
  const { id } = uploaded.parse(
    await callApi(world, path, { method: "POST", text: await readFile(MODEL_FILE, "utf8") }),
  )
  await callApi(world, `/api/models/${id}/promote`, { method: "POST", body: { reason: "the model of the demo" } })
}
