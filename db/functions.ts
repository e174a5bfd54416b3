/**
 * The functions of the database: `db/functions/<capability>/<name>.sql` holds the current body of each, and migrations are
 * generated from there. A file is one CREATE OR REPLACE FUNCTION with its comment, below a header:
 *
 *     -- Owner: churn_system            absent: the owner of the tables
 *     -- Callers: churn_worker          the only roles that may execute it
 */
import { readdirSync, readFileSync } from "node:fs"
import { basename, join, sep } from "node:path"
import { fileURLToPath } from "node:url"

const FUNCTIONS = fileURLToPath(new URL("./functions", import.meta.url))
const MIGRATIONS = fileURLToPath(new URL("./migrations", import.meta.url))
const BREAKPOINT = "--> statement-breakpoint"

/** One function: its name with the types of its arguments, its statement, and who owns and who may call it. */
export interface DatabaseFunction {
  readonly name: string
  /** Its path in the repository; null: from a migration. */
  readonly file: string | null
  /** Such as `index_contact(text, text, text[], text[], integer)`. */
  readonly signature: string
  /** From the name to the language; after a change here Postgres requires the function to be dropped first. */
  readonly heading: string
  /** The whole statement without comments above it, ending in a semicolon. */
  readonly statement: string
  readonly owner: string | null
  readonly callers: string
  /** The file's text: header, comment and statement. */
  readonly text: string
}

const CREATE = /^CREATE (?:OR REPLACE )?FUNCTION (\w+)\s*\(([\s\S]*?)\)\s*(RETURNS[\s\S]*?)\sLANGUAGE\s/
const LEADING_COMMENTS = /^(?:\s*--[^\n]*\n)*\s*/

/**
 * The functions in the files, by name. Throws for a file that does not define one function of the file's name, and for a
 * name that two files have.
 */
export function currentFunctions(): ReadonlyMap<string, DatabaseFunction> {
  const functions = new Map<string, DatabaseFunction>()
  for (const path of readdirSync(FUNCTIONS, { recursive: true, encoding: "utf8" }).sort()) {
    if (!path.endsWith(".sql")) continue
    const file = `db/functions/${path.replaceAll(sep, "/")}`
    const parsed = parse(readFileSync(join(FUNCTIONS, path), "utf8"), file)
    if (parsed?.name !== basename(path, ".sql")) throw new Error(`${file} does not define a function of that name`)
    if (functions.has(parsed.name)) throw new Error(`${file} is the second file of ${parsed.name}`)
    functions.set(parsed.name, parsed)
  }
  return functions
}

/** The functions after all migrations, by name. */
export function migratedFunctions(): ReadonlyMap<string, DatabaseFunction> {
  const functions = new Map<string, DatabaseFunction>()
  for (const statement of migrationStatements()) {
    const parsed = parse(statement)
    if (parsed) functions.set(parsed.name, parsed)
    const dropped = /^DROP FUNCTION (?:IF EXISTS )?(\w+)/.exec(statement.replace(LEADING_COMMENTS, ""))?.[1]
    if (dropped !== undefined) functions.delete(dropped)
  }
  return functions
}

const migrationStatements = (): string[] =>
  readdirSync(MIGRATIONS)
    .filter((file) => file.endsWith(".sql"))
    .sort()
    .flatMap((file) => readFileSync(join(MIGRATIONS, file), "utf8").split(BREAKPOINT))
    .map((statement) => statement.trim())

/** The statements that bring a migrated database to the functions in the files; empty when both agree. */
export function pendingStatements(): readonly string[] {
  const before = migratedFunctions()
  const after = currentFunctions()
  const removed = [...before.values()].filter(({ name }) => !after.has(name))
  const changed = [...after.values()].filter(({ name, statement }) => before.get(name)?.statement !== statement)
  return [
    ...removed.map(({ signature }) => `DROP FUNCTION ${signature};`),
    ...changed.flatMap((next) => replacement(next, before.get(next.name))),
  ]
}

/** The statements in the form of a migration. */
export const asMigration = (statements: readonly string[]): string => `${statements.join(`\n${BREAKPOINT}\n`)}\n`

function replacement(next: DatabaseFunction, before: DatabaseFunction | undefined): string[] {
  const { signature, owner, callers } = next
  const body = next.text.replace(/^(?:-- (?:Owner|Callers): .*\n)+/, "").trim()
  const mustDrop = before !== undefined && before.heading !== next.heading
  return [
    ...(mustDrop ? [`DROP FUNCTION ${before.signature};`] : []),
    body,
    ...(owner !== null && (mustDrop || before === undefined) ? [ownership(signature, owner)] : []),
    ...(mustDrop || before === undefined
      ? [
          `REVOKE EXECUTE ON FUNCTION ${signature} FROM PUBLIC;`,
          `GRANT EXECUTE ON FUNCTION ${signature} TO ${callers};`,
        ]
      : []),
  ]
}

/** Postgres lets a role own a function only if that role may create objects in the schema. */
const ownership = (signature: string, owner: string): string => `DO $$
BEGIN
  EXECUTE format('GRANT ${owner} TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO ${owner};
  ALTER FUNCTION ${signature} OWNER TO ${owner};
  REVOKE CREATE ON SCHEMA public FROM ${owner};
END
$$;`

function parse(text: string, file: string | null = null): DatabaseFunction | null {
  const statement = text
    .trim()
    .replace(LEADING_COMMENTS, "")
    .replace(/^CREATE FUNCTION/, "CREATE OR REPLACE FUNCTION")
  const [heading, name, args] = CREATE.exec(statement) ?? []
  if (heading === undefined || name === undefined || args === undefined) return null
  const types = args
    .replaceAll(/--[^\n]*/g, "")
    .split(",")
    .map((argument) => argument.trim().replace(/^\w+\s+/, ""))
  return {
    name,
    file,
    signature: `${name}(${types.filter((type) => type !== "").join(", ")})`,
    heading: heading.replaceAll(/\s+/g, " "),
    statement,
    owner: /^-- Owner: (.+)$/m.exec(text)?.[1] ?? null,
    callers: /^-- Callers: (.+)$/m.exec(text)?.[1] ?? "churn_worker",
    text,
  }
}
