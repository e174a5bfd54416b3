/** The document is not a valid model. The message says why and contains no personal data. */
export class InvalidArtefact extends Error {
  override readonly name = "InvalidArtefact"
}

/** Throws InvalidArtefact unless the condition holds. */
export function assertArtefact(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvalidArtefact(message)
}
