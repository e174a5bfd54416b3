/** Sanitizes external values for messages. Names come from members and companies, and must stay plain text. */

/** Input is truncated before any pattern is matched; no genuine value is longer. */
const RAW_MAX = 1_000
const BRAND_MAX = 60
/** RFC 5321, 4.5.3.1.3. */
const EMAIL_MAX = 254

/** Truncates to a number of code points, so that no surrogate pair is split. */
export function truncate(text: string, lengthMax: number): string {
  const characters = [...text]
  return characters.length <= lengthMax
    ? text
    : `${characters
        .slice(0, lengthMax - 1)
        .join("")
        .trimEnd()
        .replace(/[\u200c\u200d]+$/, "")}…`
}

/** Scripts in which a joiner changes the shape of letters (Unicode Standard Annex 31, 2.3): Arabic and Indic. */
const JOINING_SCRIPTS =
  "Arabic Syriac Mongolian Deva Beng Guru Gujr Orya Taml Telu Knda Mlym Sinh Khmr Mymr Tibt".split(" ")

/** Made once, where it is first needed: the sets of a literal are built at every start of an isolate. */
let joining: RegExp | undefined

function isJoining(letter: string): boolean {
  joining ??= new RegExp(`[${JOINING_SCRIPTS.map((script) => `\\p{scx=${script}}`).join("")}]`, "u")
  return joining.test(letter)
}

const EMOJI_BEFORE_JOINER = /\p{Extended_Pictographic}(?:\ufe0f|\p{Emoji_Modifier})?$/u
const EMOJI_AFTER_JOINER = /^(?:\p{Extended_Pictographic}|[♀♂⚕])/u

/** Characters that are invisible by themselves. */
const INVISIBLE = /[\p{Cf}\p{Co}\p{Cn}\p{Default_Ignorable_Code_Point}\ufffd]/gu

/** True for a joiner or a variation selector that changes the characters around it; elsewhere it is invisible. */
function isShaping(character: string, before: string, after: string): boolean {
  if (character === "\ufe0e" || character === "\ufe0f") return /[\p{Emoji}]$/u.test(before)
  const isJoiner = character === "\u200c" || character === "\u200d"
  const [next = ""] = after
  const last = [...before.slice(-2)].at(-1) ?? ""
  if (isJoiner && isJoining(last) && /[\p{L}\p{M}]/u.test(next) && isJoining(next)) return true
  return character === "\u200d" && EMOJI_BEFORE_JOINER.test(before) && EMOJI_AFTER_JOINER.test(after)
}

/**
 * One line of plain text: no line breaks, controls, invisible or direction-changing characters, no lone surrogates. Joiners
 * are kept where a script or an emoji needs them, and at most four combining marks on one letter.
 */
export function oneLine(text: string, lengthMax: number): string {
  const visible = text
    .slice(0, RAW_MAX)
    .toWellFormed()
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\p{Zs}\u2800]/gu, " ")
    .replaceAll(INVISIBLE, (character, offset: number, whole: string) =>
      isShaping(
        character,
        whole.slice(Math.max(0, offset - 8), offset),
        whole.slice(offset + character.length, offset + 8),
      )
        ? character
        : "",
    )
    .replaceAll(/(\p{M}{4})\p{M}+/gu, "$1")
  return truncate(visible.replaceAll(/ {2,}/g, " ").trim(), lengthMax)
}

/** What mail programs and Markdown turn into a link, except plain domains, which occur in brand names. */
const LINK_LIKE = /:\s*\/|www\.|\/\/|\\|@\S*\.|\b(?:https?|mailto|javascript|vbscript|data|file|ftp|tel|sms)\s*:/i

/**
 * A brand name without characters that could be markup in a message. Where it looks like a link, its punctuation is
 * removed. Empty when nothing readable is left.
 */
export function brandOf(name: string): string {
  const line = oneLine(name, RAW_MAX)
  const words = LINK_LIKE.test(line)
    ? line.replaceAll(/[<>[\](){}"*_~|`\\/@:;=^#.]/g, " ")
    : line.replaceAll(/[<>[\]{}|`]/g, " ")
  const brand = oneLine(words, BRAND_MAX)
  return /[\p{L}\p{N}\p{Extended_Pictographic}]/u.test(brand) ? brand : ""
}

/** The address if it is safe to show, else null. */
export function emailOf(address: string | null): string | null {
  if (address === null || address.length > EMAIL_MAX) return null
  return /^[A-Za-z0-9.!#$%'*+/=?^_{|}~-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+$/.test(address) ? address : null
}

/** Our own link in canonical form, without spaces and quotes. Throws for anything but http(s), which is our bug. */
export function webLink(link: string): string {
  const url = new URL(link)
  if (url.protocol !== "https:" && url.protocol !== "http:") throw new TypeError("a link in a message must be http(s)")
  return url.href.replaceAll("'", "%27")
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
}

/** Text escaped for HTML, in content and in quoted attributes. */
export const escapeHtml = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? "")
