import { postgresCode } from "../../db/client.ts"
import { AppError } from "../platform/errors.ts"

const FOREIGN_KEY_VIOLATION = "23503"

/** Throws NOT_FOUND when a write is for a company that does not exist: the default one, before it was added. */
export async function forExistingCompany<T>(writing: Promise<T>): Promise<T> {
  try {
    return await writing
  } catch (error) {
    if (postgresCode(error) !== FOREIGN_KEY_VIOLATION) throw error
    throw new AppError("NOT_FOUND", "There is no such company.", { reason: "unknown_company" })
  }
}
