/** The words that `npm run model` knows. A new one is a file that exports a `Subcommand`, and a line here. */
import type { Subcommand } from "./subcommand.ts"
import { train } from "./train.ts"

export const SUBCOMMANDS: readonly Subcommand[] = [train]
