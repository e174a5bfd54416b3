/** `npm run rollout`: launches a deployment phase by phase, by URL and key. */
import { runCommand } from "./deployment.ts"
import { rollout } from "./rollout/command.ts"

await runCommand(async () => {
  process.exitCode = await rollout(process.argv.slice(2), {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
  })
})
