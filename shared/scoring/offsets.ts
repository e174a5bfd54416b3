/**
 * What a company adds to a pooled model, in log-odds. It is kept apart from the artefact, which all companies share: in the
 * table `model_offsets` of a deployment, where a company sees its own, and in a file beside the artefact in the tools.
 */
import * as z from "zod"
import { LOG_ODDS_MAX } from "./forest.ts"
import { assertArtefact } from "./invalid-artefact.ts"

/** Log-odds by company. */
export type Offsets = ReadonlyMap<string, number>

/** What a company's offset may be. */
export const offsetSchema = z.number().min(-LOG_ODDS_MAX).max(LOG_ODDS_MAX)

const olderForm = z.looseObject({ offsets: z.record(z.string(), z.number()) })

/**
 * A document without the field `offsets`, which artefacts of the older form have, and what was in it; other documents as
 * they are. Throws InvalidArtefact when an offset is out of range.
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
