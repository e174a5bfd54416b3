/** Reads from a deployment: its anonymised labels as a table, and its serving model. */
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { z } from "zod"
import { callApi, callApiText, type Deployment } from "../../deployment.ts"
import { InputError } from "../subcommand.ts"

/** The label's column in an export. */
export const EXPORT_LABEL = "churned"
/** The column that identifies the rows of one customer. */
export const EXPORT_GROUP = "group"

/** The deployment's labels with the inputs that were scored, as anonymised CSV. */
export async function exportOf(deployment: Deployment): Promise<{ readonly csv: string; readonly rows: number }> {
  const csv = await callApiText(deployment, "/api/training/export")
  // Fields of an export never contain a line break.
  const rows = csv.split("\r\n").filter((line) => line !== "").length - 1
  return { csv, rows }
}

const championList = z.object({
  data: z.array(z.object({ id: z.string(), scope: z.enum(["company", "shared"]), version: z.string() })),
})

/** The artefact that serves the company: its own champion, else the shared one. Null: rules score. */
export async function championOf(
  deployment: Deployment,
): Promise<{ readonly version: string; readonly artefact: unknown } | null> {
  const { data } = await callApi(deployment, "GET", "/api/models?state=champion", championList)
  const champion = data.find(({ scope }) => scope === "company") ?? data[0]
  if (champion === undefined) return null
  const artefact = await callApi(deployment, "GET", `/api/models/${champion.id}/artefact`, z.unknown())
  return { version: champion.version, artefact }
}

/** Runs with the deployment's export as a temporary file. Throws `InputError` if no label has matured. */
export async function withExport<T>(deployment: Deployment, run: (path: string) => Promise<T>): Promise<T> {
  const { csv, rows } = await exportOf(deployment)
  if (rows === 0) throw new InputError("No label has matured yet, or too few customers share one.")
  const folder = await mkdtemp(join(tmpdir(), "churn-saver-labels-"))
  try {
    const path = join(folder, "labels.csv")
    await writeFile(path, csv, { mode: 0o600 })
    return await run(path)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
