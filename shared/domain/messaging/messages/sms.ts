/**
 * How long a text message is. GSM 03.38: 160 septets in one message, 153 in each of several; a character outside its
 * alphabet turns the whole text into UCS-2 with 70 and 67 units.
 */

/** 3GPP TS 23.038, 6.2.1: the default alphabet, without the escape. */
const BASIC = new Set(
  "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
)
/** 6.2.1.1: the extension table; each takes an escape and itself, which are not parted. */
const EXTENDED = new Set("\f^{}\\[~]|€")

/** What is written otherwise to stay in the alphabet. Other letters lose their marks. */
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

/** True for a text that is sent in septets. */
export const isGsm = (text: string): boolean =>
  [...text].every((character) => BASIC.has(character) || EXTENDED.has(character))

/** The text in the alphabet as far as that can be done: plain quotes and spaces, letters without marks it does not have. */
export const toGsm = (text: string): string =>
  [...text.normalize("NFC").replaceAll(/\p{Zs}/gu, " ")]
    .map((character) => {
      if (isGsm(character)) return character
      if (Object.hasOwn(REPLACEMENTS, character)) return REPLACEMENTS[character] ?? ""
      const bare = character.normalize("NFKD").replaceAll(/\p{M}/gu, "")
      return bare !== "" && isGsm(bare) ? bare : character
    })
    .join("")

/** What of the text is in the alphabet. */
export const stripToGsm = (text: string): string =>
  [...toGsm(text)].filter(isGsm).join("").replaceAll(/ {2,}/g, " ").trim()

/** How many messages the text is sent as. */
export function segmentsOf(text: string): number {
  const isInSeptets = isGsm(text)
  const sizes = [...text].map((character) => (isInSeptets ? (EXTENDED.has(character) ? 2 : 1) : character.length))
  const total = sizes.reduce((sum, size) => sum + size, 0)
  if (total <= (isInSeptets ? 160 : 70)) return 1
  const room = isInSeptets ? 153 : 67
  let segments = 1
  let used = 0
  for (const size of sizes) {
    if (used + size > room) {
      segments += 1
      used = 0
    }
    used += size
  }
  return segments
}
