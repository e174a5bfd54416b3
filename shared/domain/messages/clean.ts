/** What may pass from outside into a message. Names come from strangers; whatever they contain, they stay plain words. */

/** Work is bounded before anything is matched: no honest value is longer. */
const RAW_MAX = 1_000
const FIRST_NAME_MAX = 30
const BRAND_MAX = 60
/** RFC 5321, 4.5.3.1.3. */
const EMAIL_MAX = 254

/** Cuts to a number of characters (code points), so that no character is halved. */
export function cut(text: string, lengthMax: number): string {
  const characters = [...text]
  return characters.length <= lengthMax
    ? text
    : `${characters
        .slice(0, lengthMax - 1)
        .join("")
        .trimEnd()}…`
}

/** One line of plain text: no line breaks, controls, invisible or direction-changing characters, no lone surrogates. */
export function oneLine(text: string, lengthMax: number): string {
  const visible = text
    .slice(0, RAW_MAX)
    .toWellFormed()
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\p{Zs}]+/gu, " ")
    .replaceAll(/[\p{Cf}\p{Co}\p{Cn}\ufffd]/gu, "")
  return cut(visible.replaceAll(/ {2,}/g, " ").trim(), lengthMax)
}

/**
 * The first word of a person's name when it is plainly a name, else null: nobody is greeted by a link, a login, an
 * address or a bit of markup. "Family, Given" is null too, since its first word is not how one greets.
 */
export function firstNameOf(name: string | null): string | null {
  if (name === null) return null
  const [first = ""] = oneLine(name, RAW_MAX).split(" ")
  const isName = /^\p{L}[\p{L}\p{M}]*(?:['’-]\p{L}[\p{L}\p{M}]*)*\.?$/u.test(first)
  return isName && [...first].length <= FIRST_NAME_MAX ? first : null
}

/** A brand's name without the characters that make markup or links in HTML, Markdown or a mail client. */
export function brandOf(name: string): string {
  const line = oneLine(name, RAW_MAX)
  const looksLikeLink = /:\s*\/|www\.|\/\/|@|[a-z]:[^\s]/i.test(line)
  const words = line.replaceAll(/[<>[\](){}"*_~|`\\/@:;=^#]/g, " ").replaceAll(looksLikeLink ? /\./g : /\.{2,}/g, " ")
  return oneLine(words, BRAND_MAX)
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
