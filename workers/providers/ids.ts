/**
 * Ids of providers are opaque: Stripe accepted any text as the id of a customer or a plan until 2018, and such ids are still
 * in use (`Pro plan $699/month`, `auth0|5f7c`, `ann@example.com`). Only this file defines what can be an id; code that puts
 * one into a path, a header or a key encodes or hashes it there.
 */

/** Stripe's and Whop's own bound, in UTF-16 units: 765 bytes of UTF-8 at most, three of which fit a key of an index. */
const ID_LENGTH_MAX = 255

/** Control and format characters (writing direction, zero width), lone surrogates, line breaks. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u

/** One or two dots are a path segment of their own meaning, even when encoded, so such an id cannot be looked up. */
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
