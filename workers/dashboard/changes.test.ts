import { describe, expect, test } from "vitest"
import type { CaseChange } from "../../shared/domain/recovery/case-changes.ts"
import type { ReadChanges } from "../platform/live/changes.ts"
import { changeEvents } from "./changes.ts"

const change: CaseChange = { caseId: "payment_in_1", kind: "payment", status: "recovered" }

interface Given {
  readonly isNew?: boolean
  /** What Redis answers to one reading after the other; then nothing new. */
  readonly answers?: readonly (ReadChanges | null)[]
  /** Readings that the budget has room for. */
  readonly readingsMax?: number
}

/** All events of one connection, with the positions that were read after and the pauses. */
async function connection({ isNew = false, answers = [], readingsMax = 1_000 }: Given) {
  const after: string[] = []
  let pauses = 0
  const events: string[] = []
  const connected = changeEvents(
    { position: "5-0", isNew },
    {
      async read(position) {
        after.push(position)
        const answer = answers[after.length - 1]
        return answer === undefined ? { position, changes: [] } : answer
      },
      mayRead: () => after.length < readingsMax,
      async pause() {
        pauses += 1
      },
    },
  )
  for await (const event of connected) events.push(event)
  return { events, after, pauses }
}

describe("a stream of changes", () => {
  test("begins with its position, and ends after thirty readings", async () => {
    const { events, after, pauses } = await connection({})
    expect(events[0]).toBe("retry: 3000\nid: 5-0\n\n")
    expect(events.slice(1)).toEqual(Array.from({ length: 30 }, () => ":\n\n"))
    expect([after.length, pauses]).toEqual([30, 30])
  })

  test("has each change with the id after which the browser continues", async () => {
    const answers = [{ position: "6-0", changes: [change] }]
    const { events, after } = await connection({ answers })
    expect(events[1]).toBe(`id: 6-0\ndata: [{"caseId":"payment_in_1","kind":"payment","status":"recovered"}]\n\n`)
    expect(after.slice(0, 3)).toEqual(["5-0", "6-0", "6-0"])
  })

  test("goes on after a reading that Redis did not answer", async () => {
    const { events, after } = await connection({ answers: [null, { position: "6-0", changes: [change] }] })
    expect(events[1]).toBe(":\n\n")
    expect(events[2]).toContain("id: 6-0")
    expect(after[1]).toBe("5-0")
  })

  test("that is new has one event without changes, since earlier ones may not have been written", async () => {
    const { events } = await connection({ isNew: true })
    expect(events.flatMap((event, place) => (event.includes("data: []") ? [place] : []))).toEqual([3])
  })

  test("ends before the invocation has too few subrequests", async () => {
    expect((await connection({ readingsMax: 4 })).after).toHaveLength(4)
  })
})
