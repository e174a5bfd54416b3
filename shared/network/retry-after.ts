/** How long another side asks us to wait. */

/** RFC 9110, 5.6.7, as every sender must write it; `Date.parse` alone would read a date into "-5". */
const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/

/**
 * `Retry-After` (RFC 9110, 10.2.3) in milliseconds, from 0 to `maxMs`; null when there is none that can be read. It is
 * seconds, or a date, which is counted from the answer's own `Date`, the clock it was written by.
 */
export function retryAfterMs(headers: Headers, maxMs: number): number | null {
  const value = headers.get("retry-after")?.trim() ?? ""
  let waitMs = Number.NaN
  if (/^\d{1,9}$/.test(value)) waitMs = Number(value) * 1_000
  else if (HTTP_DATE.test(value)) waitMs = Date.parse(value) - Date.parse(headers.get("date") ?? "")
  return Number.isFinite(waitMs) ? Math.min(Math.max(waitMs, 0), maxMs) : null
}
