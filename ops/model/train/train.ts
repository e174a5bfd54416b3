/** `train`: fits a model on rows from a source: a table, an event log or our own ledger. */
import { InputError, type Subcommand } from "../subcommand.ts"
import { fromEvents } from "./events.ts"
import { fromLedger } from "./ledger.ts"
import { TRAIN_HELP } from "./options.ts"
import type { TrainSource } from "./source.ts"
import { fromTable } from "./table.ts"

const SOURCES: readonly TrainSource[] = [fromEvents, fromLedger, fromTable]

const HELP = `npm run model -- train (${SOURCES.map(({ option }) => `--${option}`).join(" | ")}) … [options]

${SOURCES.map(({ help }) => help).join("\n")}
${TRAIN_HELP}`

export const train: Subcommand = {
  name: "train",
  summary: "fits a model and writes it as one JSON document",
  help: HELP,
  async run(args, output) {
    const source = SOURCES.find(({ option }) =>
      args.some((arg) => arg === `--${option}` || arg.startsWith(`--${option}=`)),
    )
    if (source === undefined) {
      throw new InputError(
        `Name the rows: ${SOURCES.map(({ option }) => `--${option}`).join(" or ")}. --help says more.`,
      )
    }
    await source.run(args, output)
  },
}
