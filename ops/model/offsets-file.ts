/** The file of the companies' offsets beside an artefact: `model.json` has `model.offsets.json`. */
import { createHash } from "node:crypto"
import { readFile, rm, writeFile } from "node:fs/promises"
import { z } from "zod"
import type { CompanyOffset } from "../../shared/learning/pooled.ts"
import { offsetSchema } from "../../shared/scoring/model/offsets.ts"
import { InputError } from "./subcommand.ts"

const fileSchema = z.strictObject({
  format: z.literal("churn-saver-offsets/1"),
  /** SHA-256 of the artefact that the offsets belong to. */
  model: z.string(),
  madeAt: z.iso.datetime(),
  offsets: z.array(
    z.strictObject({ company: z.string(), logOdds: offsetSchema, rows: z.int().nonnegative().nullable() }),
  ),
})

/** The companies' offsets, as sent by `push`. */
export type OffsetsFile = z.infer<typeof fileSchema>

/** The path of the offsets of a model file. */
export const offsetsPathOf = (modelPath: string): string => `${modelPath.replace(/\.json$/, "")}.offsets.json`

const addressOf = (artefact: string): string => createHash("sha256").update(artefact).digest("hex")

/** Writes the offsets beside a model; without any, removes the file of an earlier training. Returns the path, or null. */
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
  // Readable only by the owner, because it contains company ids.
  await writeFile(path, `${JSON.stringify(file)}\n`, { mode: 0o600 })
  return path
}

/** The offsets beside a model; null if there are none. Throws `InputError` if the file belongs to another model or is invalid. */
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
