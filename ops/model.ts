/** `npm run model`: trains, evaluates and explains churn models. */
import { runCommand } from "./deployment.ts"
import { model } from "./model/command.ts"
import { PROCESS_OUTPUT } from "./model/subcommand.ts"

// Whoever reads the output may have seen enough (`| head`); that is no fault.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error
  process.exit()
})

await runCommand(() => model(process.argv.slice(2), PROCESS_OUTPUT))
