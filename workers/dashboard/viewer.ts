/** Who looks at a page, and how money, numbers and times are written for them. */
import type { Context } from "hono"
import * as z from "zod"
import { formatMoney } from "../../shared/domain/money.ts"
import { isAllowed, type Permission } from "../platform/http/auth.ts"
import type { Principal } from "../platform/services.ts"

export interface Viewer {
  readonly principal: Principal
  /** BCP 47. */
  readonly locale: string
  /** IANA. */
  readonly timeZone: string
  readonly can: (permission: Permission) => boolean
}

/** What Cloudflare estimates from the address of a request. */
const placeOf = z.object({ timezone: z.string() })

const LOCALE_DEFAULT = "en-GB"
const ZONE_DEFAULT = "UTC"

/** The viewer of a request: locale by `accept-language`, time zone by Cloudflare's estimate. */
export function viewerOf(c: Context, principal: Principal): Viewer {
  return {
    principal,
    locale: localeOf(c.req.header("accept-language")),
    timeZone: zoneOf("cf" in c.req.raw ? placeOf.safeParse(c.req.raw.cf).data?.timezone : undefined),
    can: (permission) => isAllowed(principal.role, permission),
  }
}

/** The first language of the header that `Intl` knows. */
export function localeOf(header: string | undefined): string {
  for (const entry of (header ?? "").split(",").slice(0, 10)) {
    const tag = entry.split(";")[0]?.trim() ?? ""
    try {
      const [supported] = Intl.NumberFormat.supportedLocalesOf(tag)
      if (supported !== undefined) return supported
    } catch {
      // Not a language tag; the next may be one.
    }
  }
  return LOCALE_DEFAULT
}

/** The time zone when `Intl` knows it, else UTC. */
export function zoneOf(zone: string | undefined): string {
  if (zone === undefined) return ZONE_DEFAULT
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions().timeZone
  } catch {
    return ZONE_DEFAULT
  }
}

/** An amount in its currency; a dash where the amount or its currency is not known. */
export const money = (viewer: Viewer, amountMinor: number | null, currency: string | null): string =>
  amountMinor === null || currency === null ? "–" : formatMoney({ amountMinor, currency }, viewer.locale)

export const number = (viewer: Viewer, value: number, options: Intl.NumberFormatOptions = {}): string =>
  new Intl.NumberFormat(viewer.locale, options).format(value)

/** A share from 0 to 1 as a percentage; a dash where there is nothing to divide by. */
export const percent = (viewer: Viewer, share: number | null, digits = 0): string =>
  share === null ? "–" : number(viewer, share, { style: "percent", maximumFractionDigits: digits })

/** The hours by which the viewer's zone is ahead of UTC at this time, to the nearest hour. */
export function offsetHours({ timeZone }: Viewer, at: Date): number {
  const parts = new Intl.DateTimeFormat("en", { timeZone, timeZoneName: "longOffset" }).formatToParts(at)
  const [, sign, hours, minutes] = /^GMT([+-])(\d\d):(\d\d)$/.exec(parts.at(-1)?.value ?? "") ?? []
  if (sign === undefined) return 0
  return (sign === "-" ? -1 : 1) * Math.round(Number(hours) + Number(minutes) / 60)
}

/** Date and time, to the minute, in the viewer's zone. */
export const dateTime = (viewer: Viewer, instant: string): string =>
  new Intl.DateTimeFormat(viewer.locale, { dateStyle: "medium", timeStyle: "short", timeZone: viewer.timeZone }).format(
    new Date(instant),
  )

export const dateOnly = (viewer: Viewer, instant: string): string =>
  new Intl.DateTimeFormat(viewer.locale, { dateStyle: "medium", timeZone: viewer.timeZone }).format(new Date(instant))

const STEPS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
]

/** "3 days ago", "in 2 hours". */
export function relativeTime(viewer: Viewer, instant: string, now: Date): string {
  const seconds = (Date.parse(instant) - now.getTime()) / 1_000
  const format = new Intl.RelativeTimeFormat(viewer.locale, { numeric: "auto" })
  for (const [unit, length] of STEPS) {
    if (Math.abs(seconds) >= length) return format.format(Math.trunc(seconds / length), unit)
  }
  return format.format(0, "minute")
}
