import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterEach, describe, expect, test } from "vitest"
import { violationsIn } from "./check.ts"
import { CAPABILITIES, IMPORT_RULES, IMPURE } from "./table.ts"

const roots: string[] = []
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true })
})

/** A project of these files; each imports what it names. */
async function rulesBrokenBy(files: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const root = mkdtempSync(join(tmpdir(), "rules-"))
  roots.push(root)
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return (await violationsIn(root)).map(({ rule }) => rule)
}

const EMPTY = "export const x = 1\n"
const importing = (path: string) => `import { x } from "${path}"\nexport const y = x\n`

/** Each rule, broken in one place. */
const BREAKS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "no-file-cycles": {
    "shared/a.ts": 'import { b } from "./b.ts"\nexport const a = (): number => b()\n',
    "shared/b.ts": 'import { a } from "./a.ts"\nexport const b = (): number => a()\n',
  },
  "no-folder-cycles": {
    "shared/one/a.ts": importing("../two/b.ts"),
    "shared/one/c.ts": EMPTY,
    "shared/two/b.ts": EMPTY,
    "shared/two/d.ts": importing("../one/c.ts"),
  },
  "domain-is-pure": { "shared/domain/deep/recovery/a.ts": importing("../../../other.ts"), "shared/other.ts": EMPTY },
  "shared-is-below": { "shared/learning/gam/a.ts": importing("../../../workers/b.ts"), "workers/b.ts": EMPTY },
  "db-is-below": { "db/queries/recovery/a.ts": importing("../../../workers/b.ts"), "workers/b.ts": EMPTY },
  "product-alone": { "workers/recovery/a.ts": importing("../../local/b.ts"), "local/b.ts": EMPTY },
  "sql-in-db": { "workers/recovery/deep/a.ts": importing("../../../db/schema/b.ts"), "db/schema/b.ts": EMPTY },
  "providers-are-alone": {
    "workers/providers/stripe/deep/a.ts": importing("../../../platform/b.ts"),
    "workers/platform/b.ts": EMPTY,
  },
  "stripe-is-not-whop": {
    "workers/providers/stripe/a.ts": importing("../whop/b.ts"),
    "workers/providers/whop/b.ts": EMPTY,
  },
  "whop-is-not-stripe": {
    "workers/providers/whop/a.ts": importing("../stripe/b.ts"),
    "workers/providers/stripe/b.ts": EMPTY,
  },
  "platform-imports-no-capability": {
    "workers/platform/limits/a.ts": importing("../../recovery/b.ts"),
    "workers/recovery/b.ts": EMPTY,
  },
  ...Object.fromEntries(
    Object.entries(CAPABILITIES).map(([capability, uses]) => {
      const forbidden =
        Object.keys(CAPABILITIES).find((other) => other !== capability && !uses.includes(other)) ?? "jobs"
      return [
        `${capability}-imports-its-own-only`,
        {
          [`workers/${capability}/deep/a.ts`]: importing(`../../${forbidden}/b.ts`),
          [`workers/${forbidden}/b.ts`]: EMPTY,
        },
      ]
    }),
  ),
}

describe("a broken rule of imports is reported", () => {
  test.each(IMPORT_RULES.map(({ name }) => name))("%s", async (name) => {
    expect(await rulesBrokenBy(BREAKS[name] ?? {})).toContain(name)
  })

  test("a type counts as an import", async () => {
    const files = {
      "shared/domain/a.ts": 'import type { B } from "../b.ts"\nexport type A = B\n',
      "shared/b.ts": "export type B = string\n",
    }
    expect(await rulesBrokenBy(files)).toContain("domain-is-pure")
  })

  test("what keeps to the rules is not", async () => {
    const files = {
      "workers/webhooks/a.ts": importing("../recovery/b.ts"),
      "workers/recovery/b.ts": importing("../../shared/domain/c.ts"),
      "shared/domain/c.ts": "export const x = new Date(0).getTime()\n",
    }
    expect(await rulesBrokenBy(files)).toEqual([])
  })
})

describe("the clock and random numbers are reported in pure folders, at any depth", () => {
  const expressions = [
    ...IMPURE.members.map((member) => `${member}()`),
    ...IMPURE.cryptoMembers.map((member) => `crypto.${member}()`),
    ...IMPURE.globals.map((name) => `${name}()`),
    "performance.now()",
    "new Date()",
    "Date()",
  ]
  test.each(expressions)("%s", async (expression) => {
    const text = `// Date.now() in words is none\nexport const f = () => ({ at: ${expression} })\n`
    expect(await rulesBrokenBy({ "shared/domain/recovery/deep/a.ts": text })).toEqual(["no-clock-no-random-numbers"])
  })
})
