/** `npm run secrets`: rotates webhook secrets, QStash's signing keys and key rings without a refused delivery. */
import { parseArgs } from "node:util"
import { CommandError, DEPLOYMENT_HELP, DEPLOYMENT_OPTIONS, deploymentOf, localFile, runCommand } from "./deployment.ts"
import { finishCompanyWebhook, listCompany, rotateCompanyWebhook } from "./secrets/company.ts"
import {
  type EnvironmentOptions,
  finishEnvironmentWebhook,
  finishQstashRotation,
  hoursOf,
  type KeyRingName,
  listEnvironment,
  type Outcome,
  rotateEnvironmentWebhook,
  rotateKeyRing,
  rotateQstash,
  type WebhookProvider,
} from "./secrets/environment.ts"
import { KEY_RINGS, WEBHOOK_VARIABLES } from "./secrets/rotation.ts"

const HELP = `npm run secrets -- <list|rotate|finish> …

  list    --company ID | --env ENV
  rotate  --webhook stripe|whop --company ID     a company's own endpoint, through the API
          --webhook stripe|whop --env ENV        the deployment's, in .local/secrets.ENV.json
          --qstash --env ENV                     QStash's signing keys
          --keys ${KEY_RINGS.join("|")} --env ENV
  finish  the same, without --keys: removes secrets after their overlap; confirms that QStash's keys are uploaded

A new webhook secret is read from stdin, or asked for; never from the command line.

  --overlap HOURS  how long the old webhook secret is still accepted (24)
  --upload         uploads the file to the Worker at once (wrangler secret bulk)
  --file FILE      another file than .local/secrets.ENV.json
  --dry-run        changes nothing
${DEPLOYMENT_HELP}`

const OPTIONS = {
  ...DEPLOYMENT_OPTIONS,
  env: { type: "string" },
  webhook: { type: "string" },
  qstash: { type: "boolean", default: false },
  keys: { type: "string" },
  overlap: { type: "string", default: "24" },
  upload: { type: "boolean", default: false },
  file: { type: "string" },
  "dry-run": { type: "boolean", default: false },
} as const

/** The command line. An invalid part is not quoted, since it may be a secret. */
function readArguments() {
  try {
    return parseArgs({ allowPositionals: true, options: OPTIONS })
  } catch {
    throw new CommandError("An option is unknown or lacks its value (--help).")
  }
}
type Values = ReturnType<typeof readArguments>["values"]

async function main(): Promise<void> {
  const { values, positionals } = readArguments()
  const [verb, ...more] = positionals
  if (values.help || verb === undefined) return void process.stdout.write(HELP)
  if (more.length > 0)
    throw new CommandError("A secret must not be on the command line, and there are no other arguments.")
  if (verb === "list") return print(await list(values), values)
  if (verb !== "rotate" && verb !== "finish") throw new CommandError("Say list, rotate or finish (--help).")
  const { lines, variables } = await (verb === "rotate" ? rotate(values) : finish(values))
  print({ variables, said: lines }, values)
}

const list = async (values: Values): Promise<object> =>
  values.env === undefined ? { data: await listCompany(companyOf(values)) } : listEnvironment(environmentOf(values))

async function rotate(values: Values): Promise<Outcome> {
  const kind = kindOf(values)
  const { overlap, "dry-run": dryRun } = values
  if (kind.is === "webhook" && values.env === undefined) {
    return rotateCompanyWebhook(companyOf(values), kind.provider, { overlapHours: hoursOf(overlap), dryRun })
  }
  const options = environmentOf(values)
  if (kind.is === "webhook") return rotateEnvironmentWebhook(kind.provider, options)
  return kind.is === "qstash" ? rotateQstash(options) : rotateKeyRing(kind.ring, options)
}

async function finish(values: Values): Promise<Outcome> {
  const kind = kindOf(values)
  if (kind.is === "webhook" && values.env === undefined) {
    return finishCompanyWebhook(companyOf(values), kind.provider, { dryRun: values["dry-run"] })
  }
  if (kind.is === "keys") throw new CommandError("Old keys stay: they open what they have sealed.")
  const options = environmentOf(values)
  return kind.is === "webhook" ? finishEnvironmentWebhook(kind.provider, options) : finishQstashRotation(options)
}

type Kind =
  | { readonly is: "webhook"; readonly provider: WebhookProvider }
  | { readonly is: "keys"; readonly ring: KeyRingName }
  | { readonly is: "qstash" }

function kindOf(values: Values): Kind {
  const { webhook, keys, qstash } = values
  if ([webhook !== undefined, keys !== undefined, qstash].filter(Boolean).length !== 1) {
    throw new CommandError("Say one of --webhook, --qstash and --keys (--help).")
  }
  if (qstash) return { is: "qstash" }
  const ring = KEY_RINGS.find((name) => name === keys)
  if (ring !== undefined) return { is: "keys", ring }
  if (webhook === "stripe" || webhook === "whop") return { is: "webhook", provider: webhook }
  throw new CommandError(
    webhook === undefined
      ? `--keys takes ${KEY_RINGS.join(" or ")}.`
      : `--webhook takes ${Object.keys(WEBHOOK_VARIABLES).join(" or ")}.`,
  )
}

function companyOf(values: Values) {
  const deployment = deploymentOf(values)
  if (deployment.companyId === null)
    throw new CommandError("Name the company with --company, or the environment with --env.")
  return deployment
}

function environmentOf(values: Values): EnvironmentOptions {
  const { env } = values
  if (env === undefined || !/^[a-z][a-z0-9-]{0,31}$/.test(env))
    throw new CommandError("Name the environment with --env.")
  return {
    env,
    file: values.file ?? localFile(`secrets.${env}.json`),
    overlapHours: hoursOf(values.overlap),
    upload: values.upload,
    dryRun: values["dry-run"],
  }
}

/** JSON for programs; for people the sentences of a change, or the list. */
function print(result: object, values: Values): void {
  const said = "said" in result && Array.isArray(result.said) ? result.said.join("\n") : JSON.stringify(result, null, 2)
  process.stdout.write(`${values.json ? JSON.stringify(result) : said}\n`)
}

await runCommand(main)
