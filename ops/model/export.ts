/** `export`: labels with the inputs that were scored, as an anonymised table. */
import { writeFile } from "node:fs/promises"
import { DEPLOYMENT_HELP, DEPLOYMENT_OPTIONS, deploymentOf } from "../deployment.ts"
import { exportOf } from "./data/from-ledger.ts"
import { InputError, pathOf, readOptions, required, type Subcommand } from "./subcommand.ts"

const HELP = `npm run model -- export --from-ledger --out FILE [options]

Writes the inputs of predictions and their outcomes, for training elsewhere: features and the label, and nothing that
identifies a person. No id and no time finer than a month; months, levels and extremes that fewer than ten
customers share are grouped or left out; numbers have three digits. "group" identifies a customer's rows by a key that
is made for each export. The key needs the permission training:read (an admin's or the operator's).

  --from-ledger  from the labels of a deployment (the only source so far)
  --out FILE     the CSV file to write
${DEPLOYMENT_HELP}`

const { help: _help, ...COMMON } = DEPLOYMENT_OPTIONS
const OPTIONS = { ...COMMON, "from-ledger": { type: "boolean", default: false }, out: { type: "string" } } as const

/** The given options of a deployment. */
export const deploymentOptionsOf = (values: {
  readonly url?: string
  readonly key?: string
  readonly company?: string
}) => ({
  ...(values.url !== undefined && { url: values.url }),
  ...(values.key !== undefined && { key: values.key }),
  ...(values.company !== undefined && { company: values.company }),
})

export const exportLabels: Subcommand = {
  name: "export",
  summary: "writes a deployment's labels as an anonymised table for training",
  help: HELP,
  async run(args, output) {
    const values = readOptions(args, OPTIONS)
    if (!values["from-ledger"]) throw new InputError("Name the source: --from-ledger. --help says more.")
    const path = pathOf(required(values.out, "out"))
    const { csv, rows } = await exportOf(deploymentOf(deploymentOptionsOf(values)))
    await writeFile(path, csv, { mode: 0o600 })
    output.out(values.json ? `${JSON.stringify({ out: path, rows })}\n` : `${rows} rows written to ${path}\n`)
  },
}
