/** `npm run model`: trains, evaluates and explains churn models. */
import { runCommand } from "./deployment.ts"
import { model } from "./model/command.ts"
import { PROCESS_OUTPUT } from "./model/subcommand.ts"

await runCommand(() => model(process.argv.slice(2), PROCESS_OUTPUT))
