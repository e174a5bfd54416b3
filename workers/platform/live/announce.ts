/**
 * Tells open pages which cases have changed, through a Redis stream for each company. Nothing is written unless a page is open;
 * then an isolate sends what has changed within half a second in one request, after its answers. A change that is not
 * announced, for want of Redis or of a subrequest, is missing on the page until the next one or a reload.
 */
import type { CaseChange } from "../../../shared/domain/recovery/case-changes.ts"
import { BoundedMap } from "../../../shared/network/rate-limit.ts"
import { TtlCache } from "../../../shared/ttl-cache.ts"
import type { Reservation } from "../outbound/budget.ts"
import type { Services } from "../services.ts"
import { CHANGES_TRIM, changesKey } from "./changes.ts"
import { isWatching } from "./watching.ts"

/** Changes of this time are sent together. */
const COLLECT_MS = 500

/** Of more the latest are sent: a page is loaded again whatever their number is. */
const UNSENT_MAX = 200

/** One Redis request, and its one retry. */
const SEND_SUBREQUESTS = 2

interface Unsent extends CaseChange {
  readonly companyId: string
}

/** By company and case: of several changes of a case the last one is sent. */
const unsent = new BoundedMap<string, Unsent>(UNSENT_MAX)

/** Present while a request of this isolate waits to send. One that is lost with its request expires. */
const senders = new TtlCache<true>({ ttlMs: 2 * COLLECT_MS, entriesMax: 1 })

/** Announces changes of a company's cases; `changes` is called only while a page is open. Never throws, and does not delay the caller. */
export function announceChanges(services: Services, companyId: string, changes: () => readonly CaseChange[]): void {
  const nowMs = services.now().getTime()
  if (!isWatching(nowMs)) return
  for (const change of changes()) unsent.set(`${companyId} ${change.caseId}`, { companyId, ...change })
  if (unsent.size === 0 || senders.get("one", nowMs)) return
  const reservation = services.budget.reserve(SEND_SUBREQUESTS)
  if (reservation === null) return
  senders.set("one", true, nowMs)
  services.waitUntil(send(services, reservation))
}

async function send({ redis, log }: Services, reservation: Reservation): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, COLLECT_MS))
  senders.clear()
  reservation.release()
  const changes = [...unsent.values()]
  unsent.clear()
  if (changes.length === 0) return
  try {
    const pipeline = redis.pipeline()
    for (const { companyId, ...change } of changes) {
      // Without a reader there is no stream, and nothing is written.
      pipeline.xadd(changesKey(companyId), "*", { ...change }, { nomkStream: true, trim: CHANGES_TRIM })
    }
    await pipeline.exec()
  } catch (error) {
    log.warn("changes_not_announced", { count: changes.length, error })
  }
}
