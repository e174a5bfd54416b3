/**
 * Ids of providers are opaque: Stripe took any text as the id of a customer or a plan until 2018, and such ids are in use
 * still (`Pro plan $699/month`, `auth0|5f7c`, `ann@example.com`). What can be an id is said here and nowhere else; where an
 * id goes into a path, a header or a key, it is encoded or hashed there.
 */

/** Stripe's and Whop's own bound, in UTF-16 units: 765 bytes of UTF-8 at most, three of which fit a key of an index. */
const ID_LENGTH_MAX = 255

/** Control and format characters (directions of writing, zero widths), halves of surrogate pairs, breaks of lines. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u

/** One or two dots are a step in a path, even when they are encoded; nothing can be asked for under such an id. */
const PATH_STEP = /^\.{1,2}$/

/** Whether the value is an id: printable text of 1 to 255 characters, not all of it spaces. */
export const isId = (value: unknown): value is string =>
  typeof value === "string" &&
  value.length <= ID_LENGTH_MAX &&
  value.trim() !== "" &&
  !UNPRINTABLE.test(value) &&
  !PATH_STEP.test(value)

/** The name of a type of event: printable ASCII; types of Stripe's v2 have brackets, `v2.core.account[identity].updated`. */
export const isTypeName = (value: unknown): value is string =>
  typeof value === "string" && /^[\x21-\x7e]{1,255}$/.test(value)
