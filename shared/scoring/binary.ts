/** Typed arrays as base64 text. Little-endian, as every machine that runs this is. */
import { decodeBase64 } from "../crypto/bytes.ts"
import { InvalidArtefact } from "./invalid-artefact.ts"

type Numbers<T> = { readonly BYTES_PER_ELEMENT: number; new (buffer: ArrayBuffer): T }

/** The numbers of base64 text; throws InvalidArtefact when the text is none or holds no whole number of them. */
export function numbersOf<T>(text: string, type: Numbers<T>, what: string): T {
  const bytes = decodeBase64(text)
  if (bytes === null || bytes.length % type.BYTES_PER_ELEMENT !== 0) {
    throw new InvalidArtefact(`${what} is not an array of numbers in base64`)
  }
  return new type(bytes.buffer)
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
