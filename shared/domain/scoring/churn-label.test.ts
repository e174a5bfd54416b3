import { describe, expect, test } from "vitest"
import * as make from "../../../test/support/events/facts.ts"
import { on } from "../../../test/support/events/facts.ts"
import { known } from "../../../test/support/events/ledger.ts"
import type { Fact } from "../facts.ts"
import { churnLabel, LABEL_DAYS } from "./churn-label.ts"

const began = make.subscription("subscription_started", { at: on(0) })
const ended = (day: number, id = "end") => make.subscriptionEnded({ at: on(day), id })
const back = (day: number) =>
  make.subscription("subscription_started", { at: on(day), id: "back", subscriptionId: "sub_2", startedAt: on(day) })

const labelAt = (day: number, ...facts: readonly Fact[]) => churnLabel(known(facts), on(day))

describe("a customer", () => {
  test("who keeps access has not churned, one who loses it within 30 days has", () => {
    expect(labelAt(10, began)).toEqual({ isChurned: false, end: null })
    expect(labelAt(10, began, ended(39))).toEqual({ isChurned: true, end: "voluntary" })
    expect(labelAt(10, began, ended(40))).toEqual({ isChurned: true, end: "voluntary" })
    expect(labelAt(10, began, ended(41))).toEqual({ isChurned: false, end: null })
  })

  test("who returns within the grace period has not churned, one who returns later has", () => {
    expect(labelAt(10, began, ended(20), back(49))).toEqual({ isChurned: false, end: null })
    expect(labelAt(10, began, ended(20), back(51))).toMatchObject({ isChurned: true })
  })

  test("who returns after exactly the grace period has not churned", () => {
    expect(labelAt(10, began, ended(20), back(50))).toEqual({ isChurned: false, end: null })
  })

  test("has churned for the reason for which the access ended", () => {
    const reason = "policy" as const
    expect(labelAt(10, began, { ...ended(20), reason } as Fact)).toEqual({ isChurned: true, end: "other" })
  })

  test("who canceled one of two subscriptions has a label", () => {
    const other = make.subscription("subscription_started", { at: on(1), id: "other", subscriptionId: "sub_2" })
    const announced = make.cancellationAnnounced({ at: on(5), cancelAt: on(30) })
    expect(labelAt(10, began, announced)).toBeNull()
    expect(labelAt(10, began, other, announced)).toEqual({ isChurned: false, end: null })
  })

  test("without paid access, or with an announced cancellation, has no label", () => {
    expect(labelAt(10)).toBeNull()
    expect(
      labelAt(10, make.subscription("subscription_started", { at: on(0), status: "trialing", trialEnd: on(14) })),
    ).toBeNull()
    expect(labelAt(10, began, ended(5))).toBeNull()
    expect(labelAt(10, began, make.cancellationAnnounced({ at: on(5), cancelAt: on(30) }), ended(30))).toBeNull()
    const withdrawn = make.subscription("subscription_resumed", { at: on(8) })
    expect(labelAt(10, began, make.cancellationAnnounced({ at: on(5), cancelAt: on(30) }), withdrawn)).toMatchObject({
      isChurned: false,
    })
  })
})

describe("a label", () => {
  test("does not depend on order or repetition of facts", () => {
    const facts = known([began, ended(20), back(35)])
    const label = churnLabel(facts, on(10))
    expect(label).toEqual({ isChurned: false, end: null })
    expect(churnLabel([...facts].reverse(), on(10))).toEqual(label)
    expect(churnLabel([...facts, ...facts], on(10))).toEqual(label)
  })

  test("never changes by facts that become known after it is final", () => {
    const early = known([began])
    const late = known([ended(20)], LABEL_DAYS)
    expect(churnLabel([...early, ...late], on(10))).toEqual({ isChurned: false, end: null })
    expect(churnLabel([...early, ...known([ended(20)], LABEL_DAYS - 10)], on(10))).toMatchObject({ isChurned: true })
  })

  test("is final 63 days after its prediction", () => {
    const late = (days: number) => churnLabel([...known([began]), ...known([ended(20)], days - 10)], on(10))
    expect(LABEL_DAYS).toBe(63)
    expect(late(63)).toMatchObject({ isChurned: true })
    expect(late(64)).toMatchObject({ isChurned: false })
  })

  test("is missing if access ended at the very moment of the prediction", () => {
    expect(labelAt(10, began, ended(10))).toBeNull()
  })

  test("is missing if paid access became known only after the prediction", () => {
    const trial = make.subscription("subscription_started", { at: on(0), status: "trialing" })
    const paying = make.subscription("subscription_changed", { at: on(8) })
    expect(churnLabel([...known([trial]), ...known([paying], 5)], on(10))).toBeNull()
    expect(churnLabel(known([trial, paying]), on(10))).toEqual({ isChurned: false, end: null })
  })

  test("is missing if access had ended unnoticed, though it began again later", () => {
    expect(churnLabel([...known([began]), ...known([ended(1)], 50), ...known([back(51)])], on(50))).toBeNull()
  })

  test("exists if access that had ended unnoticed began again at that moment", () => {
    const ledger = [...known([began]), ...known([ended(1)], 50), ...known([back(50)])]
    expect(churnLabel(ledger, on(50))).toEqual({ isChurned: false, end: null })
  })

  test("is missing if access ended before the prediction and that became known only later", () => {
    expect(churnLabel([...known([began]), ...known([ended(8)], 5)], on(10))).toBeNull()
  })
})
