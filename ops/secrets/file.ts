/**
 * The secrets of an environment on this machine: `.local/secrets.<env>.json`, which is uploaded unchanged, and a second
 * file with the state of rotations. Only their owner can read them, and both are written atomically. JSON keeps every
 * character of a secret.
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

/** The content of the file. Throws `CommandError`, without quoting it, when it is missing or invalid. */
export function readSecrets(file: string): FileChange {
  if (!existsSync(file)) throw new CommandError(`There is no ${file}; docs/DEPLOYMENT.md describes how to create it.`)
  const variables = variablesSchema.safeParse(parsed(file))
  if (!variables.success) throw new CommandError(`${file} is not a JSON object of variables and their texts.`)
  const stateFile = rotationsFile(file)
  if (!existsSync(stateFile)) return { variables: variables.data, rotations: NO_ROTATIONS }
  const rotations = rotationsSchema.safeParse(parsed(stateFile))
  if (!rotations.success) throw new CommandError(`${stateFile} was not written by this command.`)
  return { variables: variables.data, rotations: rotations.data }
}

/**
 * Writes both files. The state of rotations is written first when a rotation begins and last when it ends: after an
 * interruption in between an unnecessary `finish` is required, but no old secret is forgotten.
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
