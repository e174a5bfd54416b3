/** `npm run companies`: adds, lists, shows, changes, closes and opens companies of a deployment. */
import { parseArgs } from "node:util"
import { type Account, addCompany, changeCompany, listCompanies, setClosed, showCompany } from "./companies/calls.ts"
import { companiesText, companyText } from "./companies/show.ts"
import { CommandError, DEPLOYMENT_HELP, DEPLOYMENT_OPTIONS, deploymentOf, runCommand } from "./deployment.ts"

const HELP = `npm run companies -- <add|list|show|change|close|open> …

  list                              all companies, the newest first
  add ID --name NAME [--account …]  adds a company
  show ID                           one company, and what is left to set up
  change ID [--name NAME] [--account …] [--remove-account …]
  close ID                          no messages and no jobs from now on; deliveries are held for 30 days
  open ID                           opens a closed company again, and processes what was held

  --account A         an account at a provider, as often as needed: "stripe acct_…" or "whop biz_…"
  --remove-account A  the same, to take one away
${DEPLOYMENT_HELP.replace(/^ {2}--company.*\n/m, "")}`

const OPTIONS = {
  ...DEPLOYMENT_OPTIONS,
  name: { type: "string" },
  account: { type: "string", multiple: true },
  "remove-account": { type: "string", multiple: true },
} as const

function readArguments() {
  try {
    return parseArgs({ allowPositionals: true, options: OPTIONS })
  } catch (error) {
    throw new CommandError(`${error instanceof Error ? error.message : "The options are not known."} --help says more.`)
  }
}

async function main(): Promise<void> {
  const { values, positionals } = readArguments()
  const [verb, id, ...more] = positionals
  if (values.help || verb === undefined) return void process.stdout.write(HELP)
  if (more.length > 0) throw new CommandError("There are too many arguments (--help).")
  const deployment = deploymentOf(values)
  const print = (result: unknown, text: string) =>
    void process.stdout.write(`${values.json ? JSON.stringify(result) : text}\n`)

  if (verb === "list") {
    const companies = await listCompanies(deployment)
    return print({ data: companies }, companiesText(companies))
  }
  if (id === undefined) throw new CommandError("Name the company (--help).")
  const accounts = (values.account ?? []).map(accountOf)
  switch (verb) {
    case "add":
      if (values.name === undefined) throw new CommandError("Name the company for people: --name.")
      await addCompany(deployment, { id, name: values.name, accounts })
      break
    case "change":
      await changeCompany(deployment, id, {
        ...(values.name !== undefined && { name: values.name }),
        addAccounts: accounts,
        removeAccounts: (values["remove-account"] ?? []).map(accountOf),
      })
      break
    case "close":
    case "open":
      await setClosed(deployment, id, verb)
      break
    case "show":
      break
    default:
      throw new CommandError("Say add, list, show, change, close or open (--help).")
  }
  const company = await showCompany(deployment, id)
  print(company, companyText(company))
}

function accountOf(text: string): Account {
  const [, provider, accountId] = /^\s*(stripe|whop)[\s:]+(\S+)\s*$/.exec(text) ?? []
  if (provider === undefined || accountId === undefined) {
    throw new CommandError('An account is a provider and an id, as in "stripe acct_…" or "whop biz_…".')
  }
  return { provider, accountId }
}

await runCommand(main)
