/**
 * The secrets of an environment on this machine: `.local/secrets.<env>.json`, which is uploaded as it is, and beside it what
 * is remembered of rotations. Both are readable by their owner only and written whole or not at all. JSON, so that every
 * character of a secret survives.
 */
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { z } from "zod"
import { CommandError } from "../deployment.ts"
import { type FileChange, NO_ROTATIONS, rotationsSchema } from "./rotation.ts"

const variablesSchema = z.record(z.string().regex(/^[A-Z][A-Z0-9_]*$/), z.string())

const rotationsFile = (file: string): string => `${file.replace(/\.json$/, "")}.rotations.json`

/** What lies in the file. Throws `CommandError`, which quotes nothing of it, when it is not there or not as expected. */
export function readSecrets(file: string): FileChange {
  if (!existsSync(file)) throw new CommandError(`There is no ${file}; docs/DEPLOYMENT.md says how it is made.`)
  const variables = variablesSchema.safeParse(parsed(file))
  if (!variables.success) throw new CommandError(`${file} is not a JSON object of variables and their texts.`)
  const beside = rotationsFile(file)
  if (!existsSync(beside)) return { variables: variables.data, rotations: NO_ROTATIONS }
  const rotations = rotationsSchema.safeParse(parsed(beside))
  if (!rotations.success) throw new CommandError(`${beside} is not what this command has written.`)
  return { variables: variables.data, rotations: rotations.data }
}

/**
 * Writes both files. What is remembered goes first when a rotation begins and last when one ends: should this stop in
 * between, a `finish` too many is asked for, and no old secret is forgotten.
 */
export function writeSecrets(file: string, { variables, rotations }: FileChange, step: "begin" | "end"): void {
  if (step === "begin") writeWhole(rotationsFile(file), rotations)
  writeWhole(file, variables)
  if (step === "end") writeWhole(rotationsFile(file), rotations)
}

function parsed(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"))
  } catch {
    return undefined
  }
}

function writeWhole(file: string, value: object): void {
  const fresh = `${file}.new`
  rmSync(fresh, { force: true })
  const handle = openSync(fresh, "wx", 0o600)
  try {
    writeFileSync(handle, `${JSON.stringify(value, null, 2)}\n`)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  chmodSync(fresh, 0o600)
  renameSync(fresh, file)
}
