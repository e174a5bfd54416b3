/** `npm run model`: finds the subcommand and shows help. */
import { SUBCOMMANDS } from "./registry.ts"
import { InputError, type Output } from "./subcommand.ts"

/** Runs the subcommand named by the first argument; without one, or with `--help`, lists the subcommands. */
export async function model(args: readonly string[], output: Output): Promise<void> {
  const [name, ...rest] = args
  if (name === undefined || name === "--help" || name === "-h" || name === "help") return output.out(overview())
  const subcommand = SUBCOMMANDS.find((each) => each.name === name)
  if (subcommand === undefined) {
    throw new InputError(`There is no ${name}; there is ${SUBCOMMANDS.map((each) => each.name).join(", ")}.`)
  }
  if (rest.includes("--help") || rest.includes("-h")) return output.out(subcommand.help)
  await subcommand.run(withDatabaseUrl(rest), output)
}

/** `--from-ledger postgres://…` is equivalent to `--from-ledger --database-url postgres://…`. */
function withDatabaseUrl(args: readonly string[]): readonly string[] {
  const place = args.indexOf("--from-ledger") + 1
  const isUrl = place > 0 && /^postgres(ql)?:\/\//.test(args[place] ?? "")
  return isUrl ? args.toSpliced(place, 0, "--database-url") : args
}

const overview = (): string => {
  const width = Math.max(...SUBCOMMANDS.map(({ name }) => name.length))
  const lines = SUBCOMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`)
  return `npm run model -- <${SUBCOMMANDS.map(({ name }) => name).join("|")}> [options]

${lines.join("\n")}

<subcommand> --help says more. Results go to stdout (--json for machines), progress to stderr.
Exit code 2: the options or the data cannot be used; 1: something else went wrong.
`
}
