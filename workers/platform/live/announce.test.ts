import { beforeEach, expect, test, vi } from "vitest"
import type { CaseChange } from "../../../shared/domain/recovery/case-changes.ts"
import { createBudget } from "../outbound/budget.ts"
import type { Services } from "../services.ts"
import { announceChanges } from "./announce.ts"
import { readingWatched, rememberWatching } from "./watching.ts"

const change = (caseId: string, status: CaseChange["status"] = "open"): CaseChange => ({
  caseId,
  kind: "payment",
  status,
})

/** Services of one request, and the commands that it sent. */
function request({ subrequests = 10 } = {}) {
  const sent: (readonly [string, unknown])[][] = []
  const work: Promise<unknown>[] = []
  const pipeline = () => {
    const commands: (readonly [string, unknown])[] = []
    return {
      xadd: (key: string, _: string, entry: unknown) => commands.push([key, entry]),
      exec: async () => sent.push(commands),
    }
  }
  const services = {
    ...{ redis: { pipeline }, budget: createBudget(subrequests), now: () => new Date("2026-10-05T12:00:00Z") },
    ...{ log: { warn: vi.fn() }, waitUntil: (one: Promise<unknown>) => work.push(one) },
  } as unknown as Services
  return { services, sent, done: () => Promise.all(work) }
}

beforeEach(() => rememberWatching(false, Date.parse("2026-10-05T12:00:00Z")))

const watched = (value: string | null) =>
  readingWatched({ mget: async <T>() => ["a", value] as T }, () => Date.parse("2026-10-05T12:00:00Z"))

test("changes are not computed while no page is open", async () => {
  const { services, sent, done } = request()
  const changes = vi.fn(() => [change("a")])
  expect(await watched(null).mget("flag")).toEqual(["a"])
  announceChanges(services, "acme", changes)
  await done()
  expect([changes.mock.calls, sent]).toEqual([[], []])
})

test("changes of several requests and companies are one request, with the last status of each case", async () => {
  await watched("1").mget("flag")
  const [first, second] = [request(), request()]
  announceChanges(first.services, "acme", () => [change("a"), change("b")])
  announceChanges(second.services, "other", () => [change("a", "lost")])
  announceChanges(second.services, "acme", () => [change("b", "recovered")])
  await Promise.all([first.done(), second.done()])
  expect(first.sent).toEqual([
    [
      ["live:changes:acme", change("a")],
      ["live:changes:other", change("a", "lost")],
      ["live:changes:acme", change("b", "recovered")],
    ],
  ])
  expect(second.sent).toEqual([])
})

test("a request without room for another subrequest leaves its changes to the next one", async () => {
  await watched("1").mget("flag")
  const [full, next] = [request({ subrequests: 1 }), request()]
  announceChanges(full.services, "acme", () => [change("a")])
  announceChanges(next.services, "acme", () => [change("b")])
  await Promise.all([full.done(), next.done()])
  expect(full.sent).toEqual([])
  expect(next.sent).toEqual([
    [
      ["live:changes:acme", change("a")],
      ["live:changes:acme", change("b")],
    ],
  ])
})
