/** The data or the settings allow no model. The message says why and contains no data of a row. */
export class CannotTrain extends Error {
  override readonly name = "CannotTrain"
}
