/** `npm run model -- push|promote|shadow|retire|rollback|models` against a running deployment. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeEach, expect, test } from "vitest"
import { model } from "../../../ops/model/command.ts"
import { modelText, scoreOf, subscriber } from "../../support/models/scoring.ts"
import { reset, sql, world } from "../../support/world/world.ts"

const folder = mkdtempSync(join(tmpdir(), "churn-saver-models-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

beforeEach(reset)

/** Runs the command; its output, or its error message. */
async function run(...args: readonly string[]) {
  const written = { out: "", err: "", failure: null as string | null }
  const output = {
    out: (text: string) => {
      written.out += text
    },
    err: (text: string) => {
      written.err += text
    },
    progress: () => undefined,
  }
  const { workerUrl, adminApiKey } = world()
  await model([...args, "--url", workerUrl, "--key", adminApiKey], output).catch((error: unknown) => {
    written.failure = error instanceof Error ? error.message : String(error)
  })
  return written
}

/** A file as written by train. */
async function file(name: string, options: Parameters<typeof modelText>[0]) {
  const { text, sha256 } = await modelText(options)
  const path = join(folder, name)
  writeFileSync(path, text)
  return { path, sha256 }
}

test("a model is pushed, promoted, replaced and rolled back to", async () => {
  const [first, second] = [await file("first.json", { intercept: -2 }), await file("second.json", { intercept: -1 })]
  expect((await run("models")).out).toContain("rules answer")
  expect((await run("push", "--model", first.path, "--version", "v1")).out).toContain(first.sha256)
  expect((await run("push", "--model", second.path, "--version", "v2")).out).toContain("candidate")
  expect((await run("promote", "--model", "v1", "--reason", "the first", "--dry-run")).out).toMatch(/open +auc +0\.78/)
  expect(await sql("select champion from model_champions where champion is not null")).toEqual([])
  expect((await run("promote", "--model", "v1", "--reason", "the first")).out).toContain("v1 serves from now on.")
  expect((await run("shadow", "--model", "v2", "--reason", "to compare")).failure).toBeNull()
  expect((await run("promote", "--model", "v2", "--reason", "it is better")).failure).toBeNull()
  const customer = await subscriber()
  expect((await scoreOf(customer)).modelVersion).toBe("v2")
  expect((await run("rollback", "--reason", "it was not")).out).toContain(first.sha256)
  expect((await scoreOf(customer)).modelVersion).toBe("v1")
  const { out } = await run("models", "--json")
  const states = (JSON.parse(out) as { version: string; state: string }[]).map(({ version, state }) => [version, state])
  expect(states.sort()).toEqual([
    ["v1", "champion"],
    ["v2", "retired"],
  ])
  expect((await run("models")).out).toMatch(/^\* v1 /m)
  expect((await run("retire", "--model", "v1", "--reason", "enough")).failure).toBeNull()
  expect((await scoreOf(customer)).source).toBe("rules")
})

test("a failed gate is shown with its reason, and nothing changes", async () => {
  const { path } = await file("weak.json", { metrics: { auc: 0.55 } })
  await run("push", "--model", path, "--version", "weak")
  const { err, failure } = await run("promote", "--model", "weak", "--reason", "why not")
  expect(failure).toContain("A quality gate is closed.")
  expect(err).toMatch(/CLOSED auc +0\.55 +ROC AUC/)
  expect((await run("models")).out).toMatch(/candidate/)
})

test("prints one line about what is missing or not found", async () => {
  expect((await run("push")).failure).toContain("--model")
  expect((await run("push", "--model", join(folder, "nothing.json"))).failure).toContain("cannot be read")
  expect((await run("promote", "--model", "v1")).failure).toContain("--reason")
  expect((await run("promote", "--model", "v1", "--reason", "x")).failure).toContain("There is no such model")
  expect((await run("rollback", "--reason", "x")).failure).toContain("no champion to go back to")
})
