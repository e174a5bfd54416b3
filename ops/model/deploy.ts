/** `models`, `promote`, `shadow`, `retire`, `rollback`: the model registry of a running deployment. */
import { z } from "zod"
import { ApiError, callApi, DEPLOYMENT_HELP, DEPLOYMENT_OPTIONS, deploymentOf } from "../deployment.ts"
import { type Output, readOptions, required, type Subcommand } from "./subcommand.ts"

const gate = z.object({
  name: z.string(),
  status: z.enum(["pass", "fail", "no_data"]),
  value: z.number().nullable(),
  bound: z.number().nullable(),
  because: z.string(),
})
const gateReport = z.object({ isPassed: z.boolean(), isForced: z.boolean(), gates: z.array(gate) })

/** A model as the registry shows it. */
export const modelSchema = z.object({
  id: z.string(),
  version: z.string(),
  scope: z.enum(["company", "shared"]),
  companyId: z.string().nullable(),
  kind: z.string(),
  state: z.string(),
  bytes: z.number(),
  training: z.object({
    trainedAt: z.string(),
    rows: z.number(),
    events: z.number(),
    metrics: z.record(z.string(), z.number()),
  }),
  refused: z.object({ at: z.string(), reason: z.string().nullable() }).nullable(),
  createdAt: z.string(),
})
type ModelBody = z.infer<typeof modelSchema>

const changedSchema = z.object({ champion: z.string().nullable(), before: z.string().nullish() })
const promotedSchema = changedSchema.extend({ isPromoted: z.boolean(), gates: gateReport })

const DEPLOYMENT_ONLY = DEPLOYMENT_OPTIONS
const CHANGE_OPTIONS = { ...DEPLOYMENT_OPTIONS, model: { type: "string" }, reason: { type: "string" } } as const
const CHANGE_HELP = `  --model NAME   its version or its sha-256
  --reason TEXT  why, for the record
${DEPLOYMENT_HELP}`

export const SHARED_OPTION = { shared: { type: "boolean", default: false } } as const
export const SHARED_HELP = "  --shared       the model shared by all companies, for operators\n"

/** Prints a result as JSON or as text lines. */
export function printResult(output: Output, isJson: boolean | undefined, result: unknown, lines: () => string): void {
  output.out(isJson ? `${JSON.stringify(result)}\n` : lines())
}

export const models: Subcommand = {
  name: "models",
  summary: "the models of a deployment, newest first",
  help: `npm run model -- models [options]

The models a company can be scored by: its own and the shared ones. A star marks the one that serves.

${DEPLOYMENT_HELP}`,
  async run(args, output) {
    const values = readOptions(args, DEPLOYMENT_ONLY)
    const deployment = deploymentOf(values)
    const found: ModelBody[] = []
    const page = z.object({ data: z.array(modelSchema), nextCursor: z.string().nullable() })
    for (let cursor: string | null = ""; cursor !== null; ) {
      const { data, nextCursor }: z.infer<typeof page> = await callApi(
        deployment,
        "GET",
        `/api/models?limit=200${cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`}`,
        page,
      )
      found.push(...data)
      cursor = nextCursor
    }
    printResult(output, values.json, found, () =>
      found.length === 0 ? "There are no models: rules answer.\n" : listOf(found),
    )
  },
}

const listOf = (found: readonly ModelBody[]): string =>
  found
    .map(({ id, version, scope, kind, state, training, refused, createdAt }) => {
      const { auc, logLoss } = training.metrics
      const metrics = `${training.events} of ${training.rows} left, AUC ${figure(auc)}, log loss ${figure(logLoss)}`
      const mark = state === "champion" ? "*" : " "
      const alarm = refused === null ? "" : `  REFUSED: ${refused.reason}`
      const columns = `${version.padEnd(24)} ${kind.padEnd(5)} ${state.padEnd(9)} ${scope.padEnd(7)}`
      return `${mark} ${columns} ${createdAt.slice(0, 10)}  ${id.slice(0, 12)}  ${metrics}${alarm}\n`
    })
    .join("")

const figure = (value: number | undefined): string => (value === undefined ? "-" : value.toFixed(4))

export const promote: Subcommand = {
  name: "promote",
  summary: "puts a model in service if its quality gates pass",
  help: `npm run model -- promote --model NAME --reason TEXT [options]

The previous champion is kept for rollback. Exit code 1 when a gate fails; then nothing has changed.

  --dry-run      shows the gates only
  --force        promotes although a gate fails: for operators, while gates are not strict
${CHANGE_HELP}`,
  async run(args, output) {
    const flags = {
      "dry-run": { type: "boolean", default: false },
      force: { type: "boolean", default: false },
    } as const
    const values = readOptions(args, { ...CHANGE_OPTIONS, ...flags })
    const name = required(values.model, "model")
    const body = { reason: required(values.reason, "reason"), force: values.force, dryRun: values["dry-run"] }
    const path = `/api/models/${encodeURIComponent(name)}/promote`
    const answer = await callApi(deploymentOf(values), "POST", path, promotedSchema, body).catch((error: unknown) => {
      const body = error instanceof ApiError ? z.object({ gates: gateReport }).safeParse(error.answer).data : undefined
      if (body !== undefined) output.err(gateLines(body.gates))
      throw error
    })
    const { gates, isPromoted } = answer
    const outcome = isPromoted
      ? `${name} serves from now on.`
      : gates.isPassed
        ? "All gates are open."
        : "A gate is closed."
    printResult(output, values.json, answer, () => `${gateLines(gates)}${outcome}\n`)
  },
}

const MARKS = { pass: "open  ", fail: "CLOSED", no_data: "?     " } as const

const gateLines = ({ gates }: z.infer<typeof gateReport>): string =>
  gates
    .map(({ name, status, value, because }) => {
      const shown = value === null ? "-" : String(Math.round(value * 10_000) / 10_000)
      return `  ${MARKS[status]} ${name.padEnd(13)} ${shown.padEnd(8)} ${because}\n`
    })
    .join("")

/** A subcommand that changes the state of one model. */
const stateCommand = (name: "shadow" | "retire", summary: string, help: string, outcome: string): Subcommand => ({
  name,
  summary,
  help: `npm run model -- ${name} --model NAME --reason TEXT [options]\n\n${help}\n\n${CHANGE_HELP}`,
  async run(args, output) {
    const values = readOptions(args, CHANGE_OPTIONS)
    const model = required(values.model, "model")
    const reason = required(values.reason, "reason")
    const path = `/api/models/${encodeURIComponent(model)}/${name}`
    const changed = await callApi(deploymentOf(values), "POST", path, changedSchema, { reason })
    printResult(output, values.json, changed, () => `${model} ${outcome}\n`)
  },
})

export const shadow = stateCommand(
  "shadow",
  "makes a model a shadow of the champion, for comparison",
  "It scores everything that the champion scores; its scores are logged and not shown.",
  "scores in the champion's shadow.",
)

export const retire = stateCommand(
  "retire",
  "takes a model out of service",
  "After its champion is retired, a company is scored by the shared model, or by rules.",
  "is set aside.",
)

export const rollback: Subcommand = {
  name: "rollback",
  summary: "returns to the previous champion",
  help: `npm run model -- rollback --reason TEXT [options]

  --reason TEXT  why, for the record
${SHARED_HELP}${DEPLOYMENT_HELP}`,
  async run(args, output) {
    const options = { ...DEPLOYMENT_OPTIONS, ...SHARED_OPTION, reason: { type: "string" } } as const
    const values = readOptions(args, options)
    const body = { reason: required(values.reason, "reason"), scope: values.shared ? "shared" : "company" }
    const changed = await callApi(deploymentOf(values), "POST", "/api/models/rollback", changedSchema, body)
    printResult(output, values.json, changed, () => `${changed.champion ?? "Nothing"} serves again.\n`)
  },
}
