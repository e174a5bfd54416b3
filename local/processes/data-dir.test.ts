import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterEach, beforeEach, expect, test } from "vitest"
import { DataDirInUse, emptyDataDir, lockDataDir } from "./data-dir.ts"

const MODULE = fileURLToPath(new URL("./data-dir.ts", import.meta.url))

let dir: string
const children: ChildProcess[] = []

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "data-dir-"))
})

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL")
  rmSync(dir, { recursive: true, force: true })
})

const refusal = (): DataDirInUse | null => {
  try {
    lockDataDir(dir)
    return null
  } catch (error) {
    if (error instanceof DataDirInUse) return error
    throw error
  }
}

/** Another process that locks the directory and keeps it; returns its output. */
async function lockInProcess(): Promise<{ readonly child: ChildProcess; readonly output: string }> {
  const code = `
    import { lockDataDir } from ${JSON.stringify(MODULE)}
    try { lockDataDir(${JSON.stringify(dir)}); console.log("locked"); setInterval(() => {}, 1000) }
    catch (error) { console.log(error.name) }`
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "inherit"] })
  children.push(child)
  const [output] = await once(child.stdout, "data")
  return { child, output: String(output).trim() }
}

test("a directory locked by a running process is refused, with its id and what to do", async () => {
  const { child, output } = await lockInProcess()
  expect(output).toBe("locked")
  const error = refusal()
  expect(error?.pid).toBe(child.pid)
  expect(error?.message).toContain(String(child.pid))
  expect(error?.message).toContain("--data-dir")
})

test("the lock of a killed process is stale", async () => {
  const { child } = await lockInProcess()
  const ended = once(child, "exit")
  child.kill("SIGKILL")
  await ended
  await lockDataDir(dir).stop()
})

test("a later process with the same id does not count as the lock's owner", async () => {
  const { child } = await lockInProcess()
  const file = join(dir, "world.lock")
  const held = JSON.parse(readFileSync(file, "utf8"))
  expect(held).toMatchObject({ pid: child.pid, startedAt: expect.any(String) })
  writeFileSync(file, JSON.stringify({ ...held, startedAt: `${held.startedAt}1` }))
  await lockDataDir(dir).stop()
})

test("this process can lock a directory once, and again after releasing it", async () => {
  const first = lockDataDir(dir)
  expect(refusal()?.pid).toBe(process.pid)
  await first.stop()
  await first.stop()
  await lockDataDir(dir).stop()
  expect(readdirSync(dir)).toEqual([])
})

test("an invalid lock file is ignored", async () => {
  writeFileSync(join(dir, "world.lock"), "half a li")
  await lockDataDir(dir).stop()
})

test("of several processes that find a stale lock concurrently one gets the directory", async () => {
  writeFileSync(join(dir, "world.lock"), JSON.stringify({ pid: 999_999_999, startedAt: null, token: "gone" }))
  const all = await Promise.all(Array.from({ length: 6 }, lockInProcess))
  expect(all.map(({ output }) => output).sort()).toEqual([
    "DataDirInUse",
    "DataDirInUse",
    "DataDirInUse",
    "DataDirInUse",
    "DataDirInUse",
    "locked",
  ])
})

test("emptying a directory keeps its lock", () => {
  const held = lockDataDir(dir)
  mkdirSync(join(dir, "postgres"))
  writeFileSync(join(dir, "postgres", "file"), "")
  writeFileSync(join(dir, "clock.json"), "")
  emptyDataDir(dir)
  expect(readdirSync(dir)).toEqual(["world.lock"])
  expect(refusal()).not.toBeNull()
  return held.stop()
})

test("a missing directory is created", async () => {
  dir = join(dir, "new", "world")
  await lockDataDir(dir).stop()
  expect(existsSync(dir)).toBe(true)
})
