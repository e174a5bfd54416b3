/**
 * A company's offset to a pooled model, in log-odds. Offsets are stored separately from the shared artefact: in the table
 * `model_offsets` of a deployment, where a company sees only its own, and in the tools in a file beside the artefact.
 */
import * as z from "zod"
import { LOG_ODDS_MAX } from "./forest.ts"
import { assertArtefact } from "./invalid-artefact.ts"

/** Log-odds by company. */
export type Offsets = ReadonlyMap<string, number>

/** The valid range of a company's offset. */
export const offsetSchema = z.number().min(-LOG_ODDS_MAX).max(LOG_ODDS_MAX)

const olderForm = z.looseObject({ offsets: z.record(z.string(), z.number()) })

/**
 * Splits the field `offsets`, which artefacts of the older form have, from a document; other documents stay as they are.
 * Throws InvalidArtefact if an offset is out of range.
 */
export function splitOffsets(document: unknown): { readonly rest: unknown; readonly offsets: Offsets } {
  const parsed = olderForm.safeParse(document)
  if (!parsed.success) return { rest: document, offsets: new Map() }
  const { offsets, ...rest } = parsed.data
  const entries = Object.entries(offsets)
  assertArtefact(
    entries.every(([, offset]) => offsetSchema.safeParse(offset).success),
    "an offset is out of range",
  )
  return { rest, offsets: new Map(entries) }
}
