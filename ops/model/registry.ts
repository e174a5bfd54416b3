/** The subcommands of `npm run model`. A new one is a file that exports a `Subcommand`, and a line here. */
import { backtestCommand } from "./backtest.ts"
import { card } from "./card.ts"
import { models, promote, retire, rollback, shadow } from "./deploy.ts"
import { evaluate } from "./evaluate.ts"
import { exportLabels } from "./export.ts"
import { importModel } from "./import.ts"
import { predict } from "./predict.ts"
import { push } from "./push.ts"
import type { Subcommand } from "./subcommand.ts"
import { train } from "./train/train.ts"
import { validate } from "./validate.ts"

export const SUBCOMMANDS: readonly Subcommand[] = [
  train,
  evaluate,
  predict,
  card,
  validate,
  exportLabels,
  importModel,
  models,
  push,
  promote,
  shadow,
  retire,
  rollback,
  backtestCommand,
]
