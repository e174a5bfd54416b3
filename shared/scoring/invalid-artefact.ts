/** The document is no model that could be scored: the message says what is wrong with it and holds nothing of a person. */
export class InvalidArtefact extends Error {
  override readonly name = "InvalidArtefact"
}

/** Throws InvalidArtefact unless the condition holds. */
export function assertArtefact(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvalidArtefact(message)
}
