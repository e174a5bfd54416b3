import type { Output } from "../subcommand.ts"

/** One source of training data, selected by its option. A new one is a file, and a line in `SOURCES`. */
export interface TrainSource {
  /** The option that selects this source, without dashes: `data`. */
  readonly option: string
  /** Its part of `train --help`. */
  readonly help: string
  run(args: readonly string[], output: Output): Promise<void>
}
