/** Contrast of colours, and shades of a company's colour that can be read on light and dark backgrounds (WCAG 2.2, 1.4.3). */

/** The colour of buttons where a company has chosen none. */
export const DEFAULT_ACCENT = "#1f5fd6"

/** The least contrast of text and its background. */
export const CONTRAST_MIN = 4.5

/** Backgrounds of e-mails and pages. Dark modes differ: on a darker background than this one the contrast is higher. */
export const LIGHT_BACKGROUND = "#ffffff"
export const DARK_BACKGROUND = "#2c2c2e"

/** Shades that are tried between a colour and white or black. */
const SHADES = 40

/** A colour as it is stored. It is written into styles, so nothing else may be. */
export const COLOUR = /^#[0-9a-f]{6}$/

/** A company's colour with what is derived from it. */
export interface Colours {
  /** As the company chose it: the background of buttons. */
  readonly accent: string
  /** Text on it. */
  readonly onAccent: string
  /** Its shades for lines and text on a light and on a dark background. */
  readonly onLight: string
  readonly onDark: string
}

/** The colours of a company: its own with readable shades of it. `accent` is `#rrggbb`. */
export function coloursOf(accent: string): Colours {
  return {
    accent,
    onAccent: contrastOf(accent, "#ffffff") >= CONTRAST_MIN ? "#ffffff" : "#000000",
    onLight: readable(accent, LIGHT_BACKGROUND, "#000000"),
    onDark: readable(accent, DARK_BACKGROUND, "#ffffff"),
  }
}

/** The contrast ratio of two colours, from 1 to 21. */
export function contrastOf(one: string, other: string): number {
  const [low = 0, high = 0] = [luminanceOf(one), luminanceOf(other)].sort((a, b) => a - b)
  return (high + 0.05) / (low + 0.05)
}

/** The nearest shade between a colour and `extreme` that can be read on a background. */
function readable(colour: string, background: string, extreme: string): string {
  for (let shade = 0; shade < SHADES; shade++) {
    const mixed = mix(colour, extreme, shade / SHADES)
    if (contrastOf(mixed, background) >= CONTRAST_MIN) return mixed
  }
  return extreme
}

const channelsOf = (colour: string): readonly number[] =>
  [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16))

const mix = (from: string, to: string, share: number): string => {
  const target = channelsOf(to)
  const mixed = channelsOf(from).map((value, index) => Math.round(value + ((target[index] ?? 0) - value) * share))
  return `#${mixed.map((value) => value.toString(16).padStart(2, "0")).join("")}`
}

/** Relative luminance (WCAG 2.2), from 0 for black to 1 for white. */
function luminanceOf(colour: string): number {
  const [red = 0, green = 0, blue = 0] = channelsOf(colour).map((value) => {
    const share = value / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}
