/** Typed arrays as base64 text. Little-endian, as every machine that runs this is. */
import { InvalidArtefact } from "./invalid-artefact.ts"

type Numbers<T> = { readonly BYTES_PER_ELEMENT: number; new (buffer: ArrayBuffer): T }

/** The numbers of base64 text; throws InvalidArtefact when the text is none or holds no whole number of them. */
export function numbersOf<T>(text: string, type: Numbers<T>, what: string): T {
  const binary = decode(text)
  if (binary === null || binary.length % type.BYTES_PER_ELEMENT !== 0) {
    throw new InvalidArtefact(`${what} is not an array of numbers in base64`)
  }
  // A plain loop: an isolate that starts has some milliseconds for all it does, and iterators took half of them.
  const bytes = new Uint8Array(binary.length)
  for (let place = 0; place < bytes.length; place++) bytes[place] = binary.charCodeAt(place)
  return new type(bytes.buffer)
}

/** One character a byte; null when the text is no base64. */
function decode(text: string): string | null {
  try {
    return atob(text)
  } catch {
    return null
  }
}

/** `String.fromCharCode` takes its arguments on the stack, so not all at once. */
const CHARACTERS_MAX = 8_192

/** Base64 with padding of the numbers' bytes. */
export function base64Of(numbers: ArrayBufferView): string {
  const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength)
  let binary = ""
  for (let start = 0; start < bytes.length; start += CHARACTERS_MAX) {
    binary += String.fromCharCode(...bytes.subarray(start, start + CHARACTERS_MAX))
  }
  return btoa(binary)
}
