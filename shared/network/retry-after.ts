/** How long a remote service asks us to wait. */

/** RFC 9110, 5.6.7, the format that every sender must use; `Date.parse` alone would accept "-5" as a date. */
const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/

/**
 * `Retry-After` (RFC 9110, 10.2.3) in milliseconds, from 0 to `maxMs`; null when it is absent or invalid. It is in seconds,
 * or a date, which is compared with the `Date` of the same answer, so that both are of one clock.
 */
export function retryAfterMs(headers: Headers, maxMs: number): number | null {
  const value = headers.get("retry-after")?.trim() ?? ""
  let waitMs = Number.NaN
  if (/^\d{1,9}$/.test(value)) waitMs = Number(value) * 1_000
  else if (HTTP_DATE.test(value)) waitMs = Date.parse(value) - Date.parse(headers.get("date") ?? "")
  return Number.isFinite(waitMs) ? Math.min(Math.max(waitMs, 0), maxMs) : null
}
