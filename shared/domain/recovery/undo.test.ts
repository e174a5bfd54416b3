import { expect, test } from "vitest"
import * as make from "../../../test/support/events/facts.ts"
import { on } from "../../../test/support/events/facts.ts"
import { asJsonb, canonical, StoredStream } from "../../../test/support/events/stored-stream.ts"
import { EMPTY_STATE } from "../state.ts"
import { fold } from "./fold.ts"
import { foldUndoable, takeBack } from "./undo.ts"

const NOTHING = { state: EMPTY_STATE, undo: null }
const failed = (id: string, day: number) => make.paymentFailed({ at: on(day), id, invoiceId: `in_${id}` })

test("the facts of the last instant can be taken back, with what they added and what they changed", () => {
  const earlier = [failed("a", 0), failed("b", 1)]
  const instant = [failed("c", 2), make.paymentSucceeded({ at: on(2), invoiceId: "in_a" })]
  const { state, undo } = foldUndoable([...earlier, ...instant], NOTHING)
  if (undo === null) throw new Error("the state before the instant is known")
  expect(canonical(state)).toBe(canonical(fold([...earlier, ...instant])))
  expect(canonical(takeBack(asJsonb(state), undo))).toBe(canonical(fold(earlier)))
})

test("facts of the same instant in two steps are taken back together", () => {
  const first = foldUndoable([failed("a", 0), failed("b", 2)], NOTHING)
  const { state, undo } = foldUndoable([failed("c", 2)], first)
  if (undo === null) throw new Error("the state before the instant is known")
  expect(canonical(takeBack(state, undo))).toBe(canonical(fold([failed("a", 0)])))
})

test("what goes on in the instant of a state whose beginning is not known cannot be taken back", () => {
  const { state } = foldUndoable([failed("a", 0)], NOTHING)
  expect(foldUndoable([failed("b", 0)], { state, undo: null }).undo).toBeNull()
})

test("our own actions stay when the instant is taken back", () => {
  const { state, undo } = foldUndoable([failed("a", 0), failed("b", 1), make.optedOut({ at: on(2) })], NOTHING)
  if (undo === null) throw new Error("the state before the instant is known")
  expect(takeBack(state, undo).outreach.optedOutAt).toBe(on(2))
})

test("a thousand facts of one second, in any order, fold no ledger again", () => {
  const stream = new StoredStream(asJsonb)
  stream.append([failed("before", 0)])
  const burst = Array.from({ length: 1_000 }, (_, n) => failed(String((n * 7_919) % 1_000), 1))
  for (let start = 0; start < burst.length; start += 100) stream.append(burst.slice(start, start + 100))
  expect(stream.refolds).toBe(0)
  expect(canonical(stream.append([]))).toBe(canonical(stream.rebuilt()))
})
