/** `push`: uploads a model to a deployment, and the offset of each company. */
import { readFile } from "node:fs/promises"
import { z } from "zod"
import { splitOffsets } from "../../shared/scoring/model/offsets.ts"
import {
  ApiError,
  callApi,
  DEPLOYMENT_HELP,
  DEPLOYMENT_OPTIONS,
  type Deployment,
  deploymentOf,
  JsonText,
} from "../deployment.ts"
import { modelSchema, printResult, SHARED_HELP, SHARED_OPTION } from "./deploy.ts"
import { type OffsetsFile, readOffsets } from "./offsets-file.ts"
import { InputError, pathOf, readOptions, required, type Subcommand } from "./subcommand.ts"

const HELP = `npm run model -- push --model FILE [options]

The file is stored unchanged under its SHA-256. Pushing it again changes nothing. The companies' offsets that train wrote
(model.offsets.json) are stored separately for each company, where no other company can read them. A file of the older form,
with offsets inside, is sent without them, and therefore has another SHA-256 than the file.

  --model FILE   the output of train
  --version NAME a readable, permanent name (letters, digits, . _ -); default: kind and SHA-256
${SHARED_HELP}${DEPLOYMENT_HELP}`

const OPTIONS = {
  ...DEPLOYMENT_OPTIONS,
  ...SHARED_OPTION,
  model: { type: "string" },
  version: { type: "string" },
} as const

export const push: Subcommand = {
  name: "push",
  summary: "uploads the output of train to a deployment as a candidate",
  help: HELP,
  async run(args, output) {
    const values = readOptions(args, OPTIONS)
    const path = pathOf(required(values.model, "model"))
    const file = await readFile(path, "utf8").catch(() => {
      throw new InputError(`${path} cannot be read.`)
    })
    const { text, offsets } = withoutOffsets(file)
    const beside = (await readOffsets(path, file))?.offsets ?? null
    const deployment = deploymentOf(values)
    const query = new URLSearchParams({ scope: values.shared ? "shared" : "company" })
    if (values.version !== undefined) query.set("version", values.version)
    const pushed = await callApi(deployment, "POST", `/api/models?${query}`, modelSchema, new JsonText(text))
    // A company's own model is scored with its own offset only.
    const wanted = (beside ?? offsets).filter(
      ({ company }) => pushed.companyId === null || company === pushed.companyId,
    )
    const madeAt = pushed.training.trainedAt
    const { stored, unknown } = await storeOffsets(deployment, pushed.id, madeAt, wanted)
    printResult(output, values.json, { ...pushed, offsets: { stored, unknown } }, () =>
      [
        `${pushed.version} is there as ${pushed.state}: ${pushed.id}\n`,
        stored > 0 ? `${stored} offsets of companies are stored.\n` : "",
        unknown.length > 0 ? `These are no companies of this deployment: ${unknown.join(", ")}.\n` : "",
      ].join(""),
    )
  },
}

type Entry = OffsetsFile["offsets"][number]

/** The artefact's text to send, without the offsets in one of the older form; other text is sent unchanged. */
function withoutOffsets(text: string): { readonly text: string; readonly offsets: readonly Entry[] } {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    return { text, offsets: [] }
  }
  const { rest, offsets } = splitOffsets(document)
  if (offsets.size === 0) return { text, offsets: [] }
  const entries = [...offsets].map(([company, logOdds]) => ({ company, logOdds, rows: null }))
  return { text: `${JSON.stringify(rest)}\n`, offsets: entries }
}

const COMPANY_ID = /^[A-Za-z0-9_-]{1,64}$/

/** Stores each offset on behalf of its company; `unknown` are names that are not companies of the deployment. */
async function storeOffsets(
  deployment: Deployment,
  model: string,
  madeAt: string,
  entries: readonly Entry[],
): Promise<{ readonly stored: number; readonly unknown: readonly string[] }> {
  const unknown: string[] = []
  for (const { company, logOdds, rows } of entries) {
    const isThere =
      COMPANY_ID.test(company) &&
      (await storeOne({ ...deployment, companyId: company }, model, { logOdds, rows, madeAt }))
    if (!isThere) unknown.push(company)
  }
  return { stored: entries.length - unknown.length, unknown }
}

async function storeOne(deployment: Deployment, model: string, body: object): Promise<boolean> {
  try {
    await callApi(deployment, "PUT", `/api/models/${model}/offset`, z.object({ logOdds: z.number() }), body)
    return true
  } catch (error) {
    // The model was just uploaded, so 404 means that the company does not exist.
    if (error instanceof ApiError && error.status === 404) return false
    throw error
  }
}
