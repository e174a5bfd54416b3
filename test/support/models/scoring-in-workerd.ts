import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"
import { type ServedWorker, serveBundle } from "../../../local/processes/workerd.ts"
import { base64Of, numbersOf } from "../../../shared/scoring/model/binary.ts"
import type { ScoringAnswer, ScoringTask } from "./scoring-worker.ts"

const ENTRY = fileURLToPath(new URL("scoring-worker.ts", import.meta.url))

export type ScoringInWorkerd = {
  readonly worker: ServedWorker
  readonly run: (task: {
    readonly artefact?: unknown
    readonly task: ScoringTask["task"]
    readonly columns: readonly Float64Array[]
    readonly rows: number
    readonly repeat?: number
  }) => Promise<{ raw: Float64Array; probabilities: Float64Array; contributions: Float64Array }>
  readonly stop: () => Promise<void>
}

/** The evaluator, bundled like the deployed Worker, in a separate workerd. */
export async function startScoringInWorkerd(): Promise<ScoringInWorkerd> {
  const dir = mkdtempSync(join(tmpdir(), "churn-saver-scoring-"))
  const module = "scoring-worker.js"
  const outfile = join(dir, module)
  await build({
    entryPoints: [ENTRY],
    outfile,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    platform: "browser",
  })
  const worker = await serveBundle({ dir, module }, {})
  return {
    worker,
    async run({ columns, repeat = 1, ...task }) {
      const body = JSON.stringify({ ...task, repeat, columns: columns.map(base64Of) } satisfies ScoringTask)
      const response = await fetch(worker.url, { method: "POST", body })
      if (!response.ok) throw new Error(`workerd answered ${response.status}: ${await response.text()}`)
      const answer = (await response.json()) as ScoringAnswer
      const numbers = (text: string): Float64Array => numbersOf(text, Float64Array, "an answer")
      return {
        raw: numbers(answer.raw),
        probabilities: numbers(answer.probabilities),
        contributions: numbers(answer.contributions),
      }
    },
    async stop() {
      await worker.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
