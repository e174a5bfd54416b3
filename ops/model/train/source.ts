import type { Output } from "../subcommand.ts"

/** One kind of training data, told apart by the option that names it. A new one is a file, and a line in `SOURCES`. */
export interface TrainSource {
  /** The option whose presence chooses this source, without dashes: `data`. */
  readonly option: string
  /** Its part of `train --help`. */
  readonly help: string
  run(args: readonly string[], output: Output): Promise<void>
}
