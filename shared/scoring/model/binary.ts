/** Typed arrays as base64 text, little-endian as on every supported platform. */
import { InvalidArtefact } from "./invalid-artefact.ts"

type Numbers<T> = { readonly BYTES_PER_ELEMENT: number; new (buffer: ArrayBuffer): T }

/** The numbers of base64 text; throws InvalidArtefact if the text is not base64 or not a whole number of elements. */
export function numbersOf<T>(text: string, type: Numbers<T>, what: string): T {
  const binary = decode(text)
  if (binary === null || binary.length % type.BYTES_PER_ELEMENT !== 0) {
    throw new InvalidArtefact(`${what} is not an array of numbers in base64`)
  }
  // A plain loop: with iterators, decoding took half of an isolate's few milliseconds of start-up time.
  const bytes = new Uint8Array(binary.length)
  for (let index = 0; index < bytes.length; index++) bytes[index] = binary.charCodeAt(index)
  return new type(bytes.buffer)
}

/** One character per byte; null if the text is not base64. */
function decode(text: string): string | null {
  try {
    return atob(text)
  } catch {
    return null
  }
}

/** `String.fromCharCode` takes its arguments on the stack, which limits their number. */
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
