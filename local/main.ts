/** `npm start`: the whole suite on this machine, until Ctrl-C. */
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { DataDirInUse } from "./processes/data-dir.ts"
import { browserUrl, LOCAL_ADMIN, makeSignInLink } from "./sign-in-link.ts"
import { startStack } from "./stack.ts"

const HELP = `npm start [-- options]
  Starts Postgres, Redis, QStash, the providers' and channels' APIs and the Worker on this machine, and prints their
  addresses, the keys, and a link that signs in to the dashboard.
  --fresh          start with empty data (otherwise it is kept between starts)
  --port N         port of the Worker (8787)
  --control-port N port of the control server (8788)
  --data-dir DIR   the data directory (.local/world)
`

const ROOT = fileURLToPath(new URL("..", import.meta.url))

const { values } = parseArgs({
  options: {
    fresh: { type: "boolean", default: false },
    port: { type: "string", default: "8787" },
    "control-port": { type: "string", default: "8788" },
    "data-dir": { type: "string", default: join(ROOT, ".local", "world") },
    help: { type: "boolean", short: "h", default: false },
  },
})
if (values.help) {
  process.stdout.write(HELP)
  process.exit(0)
}

const startedAt = performance.now()
const world = await startStack({
  root: ROOT,
  env: process.env,
  dataDir: values["data-dir"],
  fresh: values.fresh,
  workerPort: Number(values.port),
  controlPort: Number(values["control-port"]),
}).catch((error: unknown) => {
  if (!(error instanceof DataDirInUse)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
})

let isStopping = false
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  // The Worker's runtime listens too, and would end the process before the world has stopped.
  process.removeAllListeners(signal).on(signal, async () => {
    if (isStopping) return
    isStopping = true
    await world.stop()
    process.exit(0)
  })
}

const { workerUrl, controlUrl, mailbox, vars } = world
const companyId = vars.DEFAULT_COMPANY_ID ?? ""
const signInLink = await makeSignInLink({
  ...{ workerUrl, apiKey: world.adminApiKey, companyId },
  readMail: async () => mailbox.messages.filter(({ to }) => to === LOCAL_ADMIN).map(({ body }) => body),
}).catch(() => null)
// The mailbox begins empty for whoever tries the product.
mailbox.take(LOCAL_ADMIN)
const howToSignIn = signInLink ?? "no link arrived; sign in with the key below"

process.stdout.write(`
Churn Saver is up (${((performance.now() - startedAt) / 1000).toFixed(1)} s).

  Dashboard         ${browserUrl(workerUrl)}/dashboard
    Sign in           ${howToSignIn}
                      works once, as an admin of ${companyId}, for 15 minutes of the local clock: moving the clock, as the
                      demo does, ends it; each start prints another one
                      pages for operators, such as Jobs: sign in with the key ${world.adminApiKey}
  Worker            ${workerUrl}
    Stripe webhooks   POST ${workerUrl}/api/webhooks/stripe   signed with ${vars.STRIPE_WEBHOOK_SECRET}
    Whop webhooks     POST ${workerUrl}/api/webhooks/whop     signed with ${vars.WHOP_WEBHOOK_SECRET}
    API               ${workerUrl}/api/cases   Authorization: Bearer ${world.adminApiKey}
    Health            ${workerUrl}/api/health
  Control server    ${controlUrl}   GET /mailbox · GET|POST /clock · POST /faults · POST /reset
  Company           ${companyId}
  Postgres          ${world.postgres().adminUrl}

  npm run demo simulates a month of two companies against it. Ctrl-C stops everything; the data is kept unless --fresh.
`)
