import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, test } from "vitest"
import { readCrons } from "./cron-ticker.ts"

test.each([
  ['[triggers]\ncrons = ["*/5 * * * *", "0 3 * * *"]\n[vars]\nA = "b"', ["*/5 * * * *", "0 3 * * *"]],
  [
    'name = "x"\n[triggers]\n# crons = ["1 1 1 1 1"]\ncrons = [\n  "* * * * *", # each minute\n  \'0 * * * *\',\n]',
    ["* * * * *", "0 * * * *"],
  ],
  ['[vars]\ncrons = ["* * * * *"]', []],
  ["[triggers]\ncrons = []\n[[kv]]\n", []],
])("the crons of %j are read", (toml, crons) => {
  const file = join(mkdtempSync(join(tmpdir(), "crons-")), "wrangler.toml")
  writeFileSync(file, toml)
  expect(readCrons(file)).toEqual(crons)
})
