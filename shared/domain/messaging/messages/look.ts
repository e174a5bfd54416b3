/** What a company chooses for its e-mails and members' pages, and how it is shown. */
import { oneLine } from "./clean.ts"
import { COLOUR, type Colours, coloursOf } from "./colours.ts"
import { type Logo, logoPath, shownSize } from "./logo.ts"

/** What a company chooses; null: none. */
export interface Branding {
  readonly logo: Logo | null
  /** `#rrggbb`. */
  readonly accent: string | null
  /** Lines below a message. */
  readonly signature: string | null
  /** Where answers to e-mails go; null: as the sender is configured. */
  readonly replyTo: string | null
  /** CAN-SPAM (15 USC 7704(a)(5)) requires it in commercial messages. */
  readonly postalAddress: string | null
}

/** What an e-mail or a page shows of it. */
export interface Look {
  readonly logo: { readonly url: string; readonly width: number; readonly height: number } | null
  readonly colours: Colours | null
  readonly signature: readonly string[]
  readonly postalAddress: readonly string[]
}

/** A branding as it is shown; `base` is where its logo is served, without a slash at the end. */
export function lookOf({ logo, accent, signature, postalAddress }: Branding, companyId: string, base: string): Look {
  return {
    logo: logo && { url: `${base}${logoPath(companyId, logo)}`, ...shownSize(logo) },
    colours: accent !== null && COLOUR.test(accent) ? coloursOf(accent) : null,
    signature: shownLines(signature),
    postalAddress: shownLines(postalAddress),
  }
}

/** Longer lines do not fit on a phone. */
export const LINE_CHARS_MAX = 120

export const linesOf = (text: string): readonly string[] => text.split(/\r\n|\r|\n/)

/** The lines of a text, each plain text; empty ones are left out. */
const shownLines = (text: string | null): readonly string[] =>
  linesOf(text ?? "")
    .map((line) => oneLine(line, LINE_CHARS_MAX))
    .filter((line) => line !== "")
