/** Reports what breaks the table of rules. `node test/rules/check.ts` checks the project; exit code 1 when a rule is broken. */
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join, relative } from "node:path"
import { parse } from "@swc/core"
import { cruise, type IForbiddenRuleType } from "dependency-cruiser"
import { ROOT } from "../steps.ts"
import { IMPORT_RULES, IMPURE, PURE_FOLDERS } from "./table.ts"

/** A rule that is broken, and where. Paths are relative to the root that was checked. */
export interface Violation {
  readonly rule: string
  readonly from: string
  readonly to: string
}

/** What is looked through; a root need not have all of them. */
const FOLDERS = ["workers", "shared", "db", "local", "ops", "test", "bench"]

/** All broken rules under `root`. */
export async function violationsIn(root: string): Promise<readonly Violation[]> {
  return [...(await importViolations(root)), ...(await impureExpressions(root))]
}

async function importViolations(root: string): Promise<readonly Violation[]> {
  const there = FOLDERS.filter((folder) => isFolder(join(root, folder)))
  const forbidden = IMPORT_RULES.map(({ why, ...rule }) => ({ ...rule, comment: why, severity: "error" }))
  const { output } = await cruise(there, {
    baseDir: root,
    parser: "swc",
    // Imports of types count: they tie files together for a reader.
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    exclude: { path: "\\.test\\.ts$|^test/fixtures/.*\\.json$" },
    ruleSet: { forbidden: forbidden as unknown as IForbiddenRuleType[] },
    validate: true,
  })
  if (typeof output === "string") throw new Error("dependency-cruiser answered with text")
  return output.summary.violations.map(({ rule, from, to }) => ({ rule: rule.name, from, to }))
}

async function impureExpressions(root: string): Promise<readonly Violation[]> {
  const files = PURE_FOLDERS.flatMap((folder) => filesUnder(join(root, folder))).filter(
    (file) => file.endsWith(".ts") && !file.endsWith(".test.ts"),
  )
  const found = await Promise.all(
    files.map(async (file) => {
      const tree = await parse(readFileSync(file, "utf8"), { syntax: "typescript", target: "es2022" })
      return [...impureIn(tree)].map((to) => ({ rule: "no-clock-no-random-numbers", from: relative(root, file), to }))
    }),
  )
  return found.flat()
}

/** The impure expressions of a syntax tree, as they are written. */
function* impureIn(node: unknown): Generator<string> {
  if (Array.isArray(node)) for (const child of node) yield* impureIn(child)
  if (!isNode(node)) return
  const name = impureName(node)
  if (name !== null) yield name
  for (const [key, child] of Object.entries(node)) if (key !== "span") yield* impureIn(child)
}

/** The impure thing that this very node is; null: none. */
function impureName(node: SyntaxNode): string | null {
  if (node.type === "MemberExpression") {
    const member = `${textOf(node.object)}.${textOf(node.property)}`
    const [object = "", property = ""] = member.split(".")
    if (IMPURE.members.some((impure) => impure === member)) return member
    if (object === "crypto" && IMPURE.cryptoMembers.some((impure) => impure === property)) return member
    return IMPURE.globals.some((impure) => impure === object) ? member : null
  }
  if (node.type === "NewExpression" && textOf(node.callee) === "Date") {
    return Array.isArray(node.arguments) && node.arguments.length > 0 ? null : "new Date()"
  }
  if (node.type !== "CallExpression") return null
  const called = textOf(node.callee)
  return called === "Date" || IMPURE.globals.some((impure) => impure === called) ? `${called}()` : null
}

type SyntaxNode = { readonly type: string } & Readonly<Record<string, unknown>>

const isNode = (value: unknown): value is SyntaxNode =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const textOf = (node: unknown): string =>
  isNode(node) && node.type === "Identifier" && typeof node.value === "string" ? node.value : ""

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false

const filesUnder = (folder: string): readonly string[] =>
  isFolder(folder) ? readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)) : []

if (import.meta.main) {
  const violations = await violationsIn(ROOT)
  for (const { rule, from, to } of violations) process.stderr.write(`${rule}: ${from} → ${to}\n`)
  process.exitCode = violations.length === 0 ? 0 : 1
}
