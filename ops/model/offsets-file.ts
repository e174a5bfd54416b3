/** The file beside an artefact that says what each company adds to the model: `model.json` has `model.offsets.json`. */
import { createHash } from "node:crypto"
import { readFile, rm, writeFile } from "node:fs/promises"
import { z } from "zod"
import type { CompanyOffset } from "../../shared/learning/pooled.ts"
import { offsetSchema } from "../../shared/scoring/offsets.ts"
import { InputError } from "./subcommand.ts"

const fileSchema = z.strictObject({
  format: z.literal("churn-saver-offsets/1"),
  /** Sha-256 of the artefact that the offsets were made for. */
  model: z.string(),
  madeAt: z.iso.datetime(),
  offsets: z.array(
    z.strictObject({ company: z.string(), logOdds: offsetSchema, rows: z.int().nonnegative().nullable() }),
  ),
})

/** What each company adds to a model, as `push` sends it. */
export type OffsetsFile = z.infer<typeof fileSchema>

/** Where the offsets of a model's file are. */
export const offsetsPathOf = (modelPath: string): string => `${modelPath.replace(/\.json$/, "")}.offsets.json`

const addressOf = (artefact: string): string => createHash("sha256").update(artefact).digest("hex")

/** Writes the offsets beside a model; without any, removes the file of an earlier training. Answers the path, or null. */
export async function writeOffsets(
  modelPath: string,
  artefact: string,
  madeAt: string,
  offsets: ReadonlyMap<string, CompanyOffset>,
): Promise<string | null> {
  const path = offsetsPathOf(modelPath)
  if (offsets.size === 0) {
    await rm(path, { force: true })
    return null
  }
  const file: OffsetsFile = {
    ...{ format: "churn-saver-offsets/1", model: addressOf(artefact), madeAt },
    offsets: [...offsets].map(([company, { offset, rows }]) => ({ company, logOdds: offset, rows })),
  }
  // It names companies.
  await writeFile(path, `${JSON.stringify(file)}\n`, { mode: 0o600 })
  return path
}

/** The offsets beside a model; null: there are none. Throws `InputError` when the file is another model's, or cannot be used. */
export async function readOffsets(modelPath: string, artefact: string): Promise<OffsetsFile | null> {
  const path = offsetsPathOf(modelPath)
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null
    throw new InputError(`${path} cannot be read.`)
  })
  if (text === null) return null
  const parsed = fileSchema.safeParse(jsonOf(text))
  if (!parsed.success) throw new InputError(`${path} is no file of offsets.`)
  if (parsed.data.model !== addressOf(artefact)) {
    throw new InputError(`${path} was made for another model than ${modelPath}: train again, or remove it.`)
  }
  return parsed.data
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
