/** The local world sets the Worker's clock; everywhere else the clock is the platform's. */
import * as z from "zod"
import type { Config } from "../../shared/config.ts"

const clockAnswer = z.object({ now: z.iso.datetime() })

/** How far the local world's clock is ahead of the platform's; 0 without a local world. */
export async function clockOffsetMs({ clock }: Pick<Config, "clock">, spend: () => void): Promise<number> {
  if (clock.url === null) return 0
  spend()
  const response = await fetch(clock.url)
  const { now } = clockAnswer.parse(await response.json())
  return Date.parse(now) - Date.now()
}
