/** Templates as requests state them. */
import * as z from "zod"
import { PARTS } from "../../../shared/domain/messaging/templates/templates.ts"
import { MESSAGE_ACTIONS } from "../../../shared/domain/recovery/decline-codes.ts"
import { MEMBER_CHANNELS } from "../../../shared/domain/settings.ts"

/** Longer than any part may be: what is too long is refused by its own rule, which says how long it may be. */
const WORDS_CHARS_MAX = 2_000

/** Own words by part. */
export const templateWords = z.lazy(() =>
  z.strictObject(
    Object.fromEntries(PARTS.map((part) => [part, z.string().max(WORDS_CHARS_MAX).optional()])) as Record<
      (typeof PARTS)[number],
      z.ZodOptional<z.ZodString>
    >,
  ),
)

/** Which messages a template is for; what is left out is any. */
export const templatePlace = {
  caseKind: z.enum(["payment", "cancellation", "at_risk"]),
  stage: z.enum(["first", "reminder", "last"]).nullable().default(null),
  ask: z.enum(MESSAGE_ACTIONS).nullable().default(null),
  channel: z.enum(MEMBER_CHANNELS).nullable().default(null),
  language: z
    .string()
    .regex(/^[a-z]{2}$/, "expected a language as two letters (ISO 639-1)")
    .nullable()
    .default(null),
}
