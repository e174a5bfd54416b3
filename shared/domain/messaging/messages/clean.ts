/** What may pass from outside into a message. Names come from strangers; whatever they contain, they stay plain words. */

/** Work is bounded before anything is matched: no honest value is longer. */
const RAW_MAX = 1_000
const BRAND_MAX = 60
/** RFC 5321, 4.5.3.1.3. */
const EMAIL_MAX = 254

/** Cuts to a number of characters (code points), so that no character is halved. */
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

/** Letters that change their shape by a joiner (Unicode Standard Annex 31, 2.3): Arabic and Indic scripts. */
const JOINING =
  /[\p{scx=Arabic}\p{scx=Syriac}\p{scx=Mongolian}\p{scx=Deva}\p{scx=Beng}\p{scx=Guru}\p{scx=Gujr}\p{scx=Orya}\p{scx=Taml}\p{scx=Telu}\p{scx=Knda}\p{scx=Mlym}\p{scx=Sinh}\p{scx=Khmr}\p{scx=Mymr}\p{scx=Tibt}]/u
const EMOJI_BEFORE_JOINER = /\p{Extended_Pictographic}(?:\ufe0f|\p{Emoji_Modifier})?$/u
const EMOJI_AFTER_JOINER = /^(?:\p{Extended_Pictographic}|[♀♂⚕])/u

/** Invisible where they stand alone. */
const INVISIBLE = /[\p{Cf}\p{Co}\p{Cn}\p{Default_Ignorable_Code_Point}\ufffd]/gu

/** True for a joiner or a variation selector that shapes the characters around it; elsewhere they are only invisible. */
function isShaping(character: string, before: string, after: string): boolean {
  if (character === "\ufe0e" || character === "\ufe0f") return /[\p{Emoji}]$/u.test(before)
  const isJoiner = character === "\u200c" || character === "\u200d"
  const [next = ""] = after
  const last = [...before.slice(-2)].at(-1) ?? ""
  if (isJoiner && JOINING.test(last) && /[\p{L}\p{M}]/u.test(next) && JOINING.test(next)) return true
  return character === "\u200d" && EMOJI_BEFORE_JOINER.test(before) && EMOJI_AFTER_JOINER.test(after)
}

/**
 * One line of plain text: no line breaks, controls, invisible or direction-changing characters, no lone surrogates. Joiners
 * stay where a script or an emoji needs them, and at most four marks stay on one letter.
 */
export function oneLine(text: string, lengthMax: number): string {
  const visible = text
    .slice(0, RAW_MAX)
    .toWellFormed()
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\p{Zs}\u2800]+/gu, " ")
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

/** What mail programs and Markdown make a link of, besides a plain domain, which brands have in their names. */
const LINK_LIKE = /:\s*\/|www\.|\/\/|\\|@\S*\.|\b(?:https?|mailto|javascript|vbscript|data|file|ftp|tel|sms)\s*:/i

/**
 * A brand's name as it is, without what could make markup of it in a message. Where it looks like a link, it is taken
 * apart. Empty when nothing readable is left.
 */
export function brandOf(name: string): string {
  const line = oneLine(name, RAW_MAX)
  const words = LINK_LIKE.test(line)
    ? line.replaceAll(/[<>[\](){}"*_~|`\\/@:;=^#.]/g, " ")
    : line.replaceAll(/[<>[\]{}|`]/g, " ")
  const brand = oneLine(words, BRAND_MAX)
  return /[\p{L}\p{N}\p{Extended_Pictographic}]/u.test(brand) ? brand : ""
}

/** An address fit to be shown, else null. */
export function emailOf(address: string | null): string | null {
  if (address === null || address.length > EMAIL_MAX) return null
  return /^[A-Za-z0-9.!#$%'*+/=?^_{|}~-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+$/.test(address) ? address : null
}

/** Our own link in its canonical spelling, where nothing needs a space or a quote. Anything but http(s) is our bug. */
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

/** Text as HTML shows it, in content and in quoted attributes. */
export const escapeHtml = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? "")
