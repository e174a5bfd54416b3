/** Parameters of database functions that the query builder has no form for. */
import { type SQL, sql } from "drizzle-orm"

/** One parameter that the driver writes as an array; the function declares the type of its elements. */
export const arrayParameter = (values: readonly (string | number | boolean | null)[]): SQL => sql`${sql.param(values)}`

/** The bytes of a base64 text from Postgres, which inserts line breaks. */
export const bytesFromBase64 = (text: string): Uint8Array =>
  Uint8Array.from(atob(text.replaceAll("\n", "")), (character) => character.charCodeAt(0))
