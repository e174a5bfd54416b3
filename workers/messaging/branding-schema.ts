/** The schema of a company's branding, as it is sent. */
import * as z from "zod"
import { linesFault, replyToFault } from "../../shared/domain/messaging/branding.ts"
import { COLOUR } from "../../shared/domain/messaging/messages/colours.ts"
import { LOGO_BYTES_MAX } from "../../shared/domain/messaging/messages/logo.ts"
import { linesOf } from "../../shared/domain/messaging/messages/look.ts"

/** Longer than any text may be: what is too long is refused by its own rule, which says how long it may be. */
const CHARS_MAX = 2_000

/** Text with a rule of the domain, which says why it is refused. */
const textWith = (fault: (text: string) => string | null) =>
  z
    .string()
    .max(CHARS_MAX)
    .superRefine((text, context) => {
      const reason = fault(text)
      if (reason !== null) context.addIssue({ code: "custom", message: reason })
    })

/** Lines of text, as they are stored. */
const lines = textWith(linesFault).transform((text) => linesOf(text.trim()).join("\n"))

/** What a branding consists of; `logo` is the id of an uploaded image. */
export const brandingFields = z.strictObject({
  logo: z
    .string()
    .regex(/^[0-9a-f]{64}$/, "expected the id of an uploaded logo")
    .nullable(),
  accent: z.string().toLowerCase().regex(COLOUR, "expected a colour as #rrggbb").nullable(),
  signature: lines.nullable(),
  replyTo: textWith(replyToFault).nullable(),
  postalAddress: lines.nullable(),
})

/** A version that is changed: refused when somebody has saved another one since. 0: there is none yet. */
export const brandingChange = z.strictObject({ ...brandingFields.shape, version: z.int().min(0) })

/** Base64 needs four characters for three bytes, and the object around it some more. */
export const LOGO_BODY_BYTES_MAX = LOGO_BYTES_MAX * 2

/** Text of the largest image and a bit more: what is too large is refused by the rule that says how large it may be. */
export const logoUpload = z.strictObject({ image: z.base64().max(LOGO_BODY_BYTES_MAX) })
