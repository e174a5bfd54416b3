/** The data or the settings allow no model; the message says why, for people, and names no row. */
export class CannotTrain extends Error {
  override readonly name = "CannotTrain"
}
