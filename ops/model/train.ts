/** `train`: fits a model. Where its rows come from is a source: a table, an event log, the product's own ledger. */
import type { Subcommand } from "./subcommand.ts"
import { InputError, type Output } from "./subcommand.ts"
import { fromEvents } from "./train-events.ts"
import { fromLedger } from "./train-ledger.ts"
import { TRAIN_HELP } from "./train-options.ts"
import { fromTable } from "./train-table.ts"

/** One kind of training data, told apart by the option that names it. A new one is a file, and a line in `SOURCES`. */
export interface TrainSource {
  /** The option whose presence chooses this source, without dashes: `data`. */
  readonly option: string
  /** Its part of `train --help`. */
  readonly help: string
  run(args: readonly string[], output: Output): Promise<void>
}

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
