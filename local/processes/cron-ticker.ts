import { readFileSync } from "node:fs"
import { type Cron, parseCron } from "../qstash/cron.ts"
import type { VirtualClock } from "../time/clock.ts"
import type { Heartbeats } from "../time/heartbeats.ts"
import { withDeadline } from "../time/with-deadline.ts"

/** Cloudflare's Cron Triggers for a local Worker, which workerd itself does not run. */
export type CronTicker = {
  /** Calls the Worker for each cron that is due and on, once per cron for any number of passed slots. */
  fireDue(): void
  /** Resolves when all runs have ended. */
  idle(): Promise<void>
  /** The first slot of any cron at or after `instant`; null when there are no crons. */
  slotAtOrAfter(instant: Date): Date | null
  stop(): Promise<void>
}

/** A scheduled run may take 15 minutes on Cloudflare; a local run that takes this long hangs. */
const RUN_TIMEOUT_MS = 60_000
/** Timers overflow beyond 2^31 ms. */
const SLEEP_MS_MAX = 60 * 60 * 1_000

/**
 * Runs each cron at its slots, in the time of `clock`, by itself while heartbeats are live. A Worker that does not answer
 * misses its slot.
 */
export function startCronTicker({
  crons,
  clock,
  scheduledUrl,
  heartbeats,
  isOn,
  onError = () => {},
}: {
  readonly crons: readonly string[]
  readonly clock: VirtualClock
  /** Where the Worker's Cron Triggers are called; null while there is no such address. */
  readonly scheduledUrl: () => string | null
  readonly heartbeats: Pick<Heartbeats, "areLive" | "onChange">
  /** Whether this cron runs although heartbeats are not live. */
  readonly isOn: (expression: string) => boolean
  readonly onError?: (error: unknown) => void
}): CronTicker {
  const entries = crons.map((expression) => {
    const cron = parseCron(expression)
    return { expression, cron, nextAt: cron.next(clock.now()) }
  })
  const cut = new AbortController()
  const running = new Set<Promise<void>>()
  let timer: NodeJS.Timeout | null = null

  async function call(expression: string, slot: Date): Promise<void> {
    const address = scheduledUrl()
    if (address === null) return
    const url = new URL(address)
    url.searchParams.set("cron", expression)
    url.searchParams.set("time", String(slot.getTime()))
    try {
      await withDeadline({ ms: RUN_TIMEOUT_MS, signal: cut.signal }, async (signal) => {
        const response = await fetch(url, { signal })
        await response.arrayBuffer()
      })
    } catch (error) {
      if (!cut.signal.aborted) onError(error)
    }
  }

  function fireDue(): void {
    const now = clock.now()
    const due = entries.filter(({ nextAt }) => nextAt <= now)
    for (const entry of due) {
      const slot = lastSlot(entry.cron, entry.nextAt, now)
      entry.nextAt = entry.cron.next(now)
      if (!heartbeats.areLive() && !isOn(entry.expression)) continue
      const run = call(entry.expression, slot).finally(() => running.delete(run))
      running.add(run)
    }
    sleep()
  }

  async function idle(): Promise<void> {
    await Promise.all(running)
  }

  function sleep(): void {
    if (timer) clearTimeout(timer)
    if (!heartbeats.areLive()) return
    if (entries.length === 0 || cut.signal.aborted) return
    const next = Math.min(...entries.map(({ nextAt }) => nextAt.getTime()))
    timer = setTimeout(fireDue, Math.min(SLEEP_MS_MAX, Math.max(0, next - clock.now().getTime())))
    timer.unref()
  }

  clock.onMove(() => {
    // A reset moves time back; without this, crons would wait for slots of the former time.
    for (const entry of entries) {
      const next = entry.cron.next(clock.now())
      if (next < entry.nextAt) entry.nextAt = next
    }
    sleep()
  })
  heartbeats.onChange(sleep)
  sleep()

  return {
    fireDue,
    idle,
    slotAtOrAfter(instant) {
      const before = new Date(instant.getTime() - 1)
      const slots = entries.map(({ cron }) => cron.next(before).getTime())
      return slots.length === 0 ? null : new Date(Math.min(...slots))
    },
    async stop() {
      cut.abort()
      if (timer) clearTimeout(timer)
      await idle()
    },
  }
}

/** After this many missed slots the exact time of the last one does not matter. */
const SLOTS_SEARCHED_MAX = 1_000

function lastSlot(cron: Cron, first: Date, now: Date): Date {
  let slot = first
  for (let searched = 0; searched < SLOTS_SEARCHED_MAX; searched += 1) {
    const next = cron.next(slot)
    if (next > now) break
    slot = next
  }
  return slot
}

/** The crons of the `[triggers]` table in a wrangler.toml; none when it has no such table. */
export function readCrons(configFile: string): string[] {
  const text = readFileSync(configFile, "utf8").replace(/^\s*#.*$/gm, "")
  const table = /^\[triggers\]\s*$([\s\S]*?)(?=^\[(?!\s*")|$(?![\s\S]))/m.exec(text)?.[1] ?? ""
  const list = /^\s*crons\s*=\s*\[([^\]]*)\]/m.exec(table)?.[1] ?? ""
  return [...list.matchAll(/"([^"]+)"|'([^']+)'/g)].map(([, double, single]) => double ?? single ?? "")
}
