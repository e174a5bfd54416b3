/** `npm run db:functions -- --name=what_changes`: writes the migration for the functions whose files were changed. */
import { readFileSync, writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { asMigration, pendingStatements } from "./functions.ts"

const JOURNAL = new URL("./migrations/meta/_journal.json", import.meta.url)

/** Times one millisecond apart, so that migrations sort by number. */
const nextEntry = (entries: readonly { readonly idx: number; readonly when: number }[], name: string) => {
  const last = entries.at(-1) ?? { idx: -1, when: 0 }
  const idx = last.idx + 1
  return { idx, version: "7", when: last.when + 1, tag: `${String(idx).padStart(4, "0")}_${name}`, breakpoints: true }
}

const { name } = parseArgs({ options: { name: { type: "string" } } }).values
if (name === undefined || !/^[a-z][a-z0-9_]*$/.test(name)) {
  process.stderr.write("usage: npm run db:functions -- --name=what_changes\n")
  process.exit(2)
}
const statements = pendingStatements()
if (statements.length === 0) {
  process.stdout.write("The migrations match the files; nothing to write.\n")
} else {
  const journal = JSON.parse(readFileSync(JOURNAL, "utf8"))
  const entry = nextEntry(journal.entries, name)
  writeFileSync(new URL(`./migrations/${entry.tag}.sql`, import.meta.url), asMigration(statements))
  writeFileSync(JOURNAL, `${JSON.stringify({ ...journal, entries: [...journal.entries, entry] }, null, 2)}\n`)
  process.stdout.write(`Wrote db/migrations/${entry.tag}.sql; read it before it is committed.\n`)
}
