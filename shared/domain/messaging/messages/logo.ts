/** Logos of companies: PNG or JPEG, recognized by their bytes. */

/** Mail programs load it with every message. */
export const LOGO_BYTES_MAX = 64 * 1024

/** A few bytes can describe an image that fills the memory of a phone. */
const SIDE_MAX = 2_000

/** The largest place for a logo in e-mails and pages, in CSS pixels. */
const SHOWN_WIDTH_MAX = 240
const SHOWN_HEIGHT_MAX = 64

export const LOGO_TYPES = ["image/png", "image/jpeg"] as const

/** What is known of a stored image; `id` is its SHA-256 in hexadecimal digits. */
export interface Logo {
  readonly id: string
  readonly type: (typeof LOGO_TYPES)[number]
  readonly width: number
  readonly height: number
}

/** The path of a logo. It names the content, so that it can be cached for ever. */
export const logoPath = (companyId: string, { id, type }: Pick<Logo, "id" | "type">): string =>
  `/logos/${companyId}/${id}.${type === "image/png" ? "png" : "jpg"}`

/** The size at which a logo is shown: within its place, never enlarged. */
export function shownSize({ width, height }: Pick<Logo, "width" | "height">): Pick<Logo, "width" | "height"> {
  const scale = Math.min(1, SHOWN_WIDTH_MAX / width, SHOWN_HEIGHT_MAX / height)
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) }
}

/** The type and size of an image, or why it cannot be a logo, in words for the person who uploads it. */
export function readLogo(bytes: Uint8Array): Omit<Logo, "id"> | { readonly reason: string } {
  if (bytes.length > LOGO_BYTES_MAX) return { reason: `the image is larger than ${LOGO_BYTES_MAX / 1024} KiB` }
  const image = pngOf(bytes) ?? jpegOf(bytes)
  if (image === null || image.width === 0 || image.height === 0) return { reason: "expected a PNG or JPEG image" }
  const isTooLarge = image.width > SIDE_MAX || image.height > SIDE_MAX
  return isTooLarge ? { reason: `the image is wider or higher than ${SIDE_MAX} pixels` } : image
}

const PNG_START = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52]

const startsWith = (bytes: Uint8Array, start: readonly number[]): boolean =>
  start.every((byte, index) => bytes[index] === byte)

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** A PNG begins with its signature and the header chunk (RFC 2083, 11.2.2). */
function pngOf(bytes: Uint8Array): Omit<Logo, "id"> | null {
  if (!startsWith(bytes, PNG_START) || bytes.length < PNG_START.length + 8) return null
  const view = viewOf(bytes)
  return { type: "image/png", width: view.getUint32(16), height: view.getUint32(20) }
}

/** A JPEG is a list of segments, of which the frame header has the size (ITU-T T.81, B.2.2). */
function jpegOf(bytes: Uint8Array): Omit<Logo, "id"> | null {
  if (!startsWith(bytes, [0xff, 0xd8, 0xff])) return null
  const view = viewOf(bytes)
  for (let at = 2; at + 9 <= bytes.length && view.getUint8(at) === 0xff; at += 2 + view.getUint16(at + 2)) {
    if (isFrameHeader(view.getUint8(at + 1)))
      return { type: "image/jpeg", width: view.getUint16(at + 7), height: view.getUint16(at + 5) }
  }
  return null
}

/** SOF0 to SOF15 without the markers of tables, JPEG extensions and arithmetic coding among them. */
const isFrameHeader = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc
