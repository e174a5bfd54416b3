/**
 * The length of a text message. GSM 03.38: 160 septets in one message, 153 in each of several; a character outside its
 * alphabet makes the whole text UCS-2, with 70 and 67 units.
 */

/** 3GPP TS 23.038, 6.2.1: the default alphabet, without the escape. */
const BASIC = new Set(
  "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
)
/** 6.2.1.1: the extension table; each takes two septets, which stay in the same segment. */
const EXTENDED = new Set("\f^{}\\[~]|€")

/** Replacements within the alphabet. Other letters lose their diacritics. */
const REPLACEMENTS: Readonly<Record<string, string>> = {
  "’": "'",
  "‘": "'",
  "‚": "'",
  "`": "'",
  "“": '"',
  "”": '"',
  "„": '"',
  "«": '"',
  "»": '"',
  "–": "-",
  "—": "-",
  "‑": "-",
  "−": "-",
  "…": "...",
  "•": "-",
  "×": "x",
  œ: "oe",
  Œ: "OE",
  ł: "l",
  Ł: "L",
  đ: "d",
  Đ: "D",
  ð: "d",
  þ: "th",
  ı: "i",
  ẞ: "SS",
}

/** True for a text in the GSM alphabet. */
export const isGsm = (text: string): boolean =>
  [...text].every((character) => BASIC.has(character) || EXTENDED.has(character))

/** The text in the GSM alphabet where possible: plain quotes and spaces, and letters without unsupported diacritics. */
export const toGsm = (text: string): string =>
  [...text.normalize("NFC").replaceAll(/\p{Zs}/gu, " ")]
    .map((character) => {
      if (isGsm(character)) return character
      if (Object.hasOwn(REPLACEMENTS, character)) return REPLACEMENTS[character] ?? ""
      const bare = character.normalize("NFKD").replaceAll(/\p{M}/gu, "")
      return bare !== "" && isGsm(bare) ? bare : character
    })
    .join("")

/** The text without characters outside the GSM alphabet. */
export const stripToGsm = (text: string): string =>
  [...toGsm(text)].filter(isGsm).join("").replaceAll(/ {2,}/g, " ").trim()

/** The number of segments of the text. */
export function segmentsOf(text: string): number {
  const isInSeptets = isGsm(text)
  const sizes = [...text].map((character) => (isInSeptets ? (EXTENDED.has(character) ? 2 : 1) : character.length))
  const total = sizes.reduce((sum, size) => sum + size, 0)
  if (total <= (isInSeptets ? 160 : 70)) return 1
  const capacity = isInSeptets ? 153 : 67
  let segments = 1
  let used = 0
  for (const size of sizes) {
    if (used + size > capacity) {
      segments += 1
      used = 0
    }
    used += size
  }
  return segments
}
