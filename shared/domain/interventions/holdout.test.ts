import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { arbitraryFacts, arrivalOrders, providerFacts } from "../../../test/support/events/arbitrary-facts.ts"
import * as make from "../../../test/support/events/facts.ts"
import { on } from "../../../test/support/events/facts.ts"
import type { Fact } from "../facts.ts"
import { bucketOfKey } from "../flags.ts"
import { decide, decideSend, type ReachableChannels } from "../recovery/decide.ts"
import { rebuild } from "../recovery/fold.ts"
import { manualNudgeId, type Nudge } from "../recovery/nudges/nudges.ts"
import { DEFAULT_SETTINGS } from "../settings.ts"
import { assignmentOf, isHeldOut } from "../state.ts"
import { armFor, assignCases, HOLDOUT_PERCENTAGE_MAX } from "./holdout.ts"

const STRIPE: ReachableChannels = { provider: "stripe", configured: ["email", "sms", "push", "dm", "slack"] }
const failed = make.paymentFailed({ at: on(0) })
const mailed = make.customerSeen({ at: on(0), hasEmail: true })
const CASE = "payment_in_1"

const assign = (facts: readonly Fact[], percentage: number, nudges: readonly Nudge[] = [], day = 0) =>
  assignCases(rebuild(facts), nudges, { companyId: "acme", percentage }, on(day))

/** The id of a case that is held out at 50 percent, so that tests do not depend on the hash. */
const heldOutCase = Array.from({ length: 64 }, (_, n) => `in_${n}`).find(
  (id) => armFor("acme", `payment_${id}`, 50) === "held_out",
)

/** Of the cases `payment_in_0` to `payment_in_11` at 50 percent: held out or treated. */
const ARMS_OF_ACME = "hhhhththhthh"
const ARMS_OF_GLOBEX = "htttthtthhth"

describe("assignment", () => {
  test.each([1, 10, 25, 50])("holds out %i percent of cases, evenly over companies and kinds of ids", (percentage) => {
    const CASES = 4_000
    for (const company of ["acme", "globex", "c"]) {
      for (const stem of ["payment_in_", "cancellation_sub_", "at_risk_"]) {
        const held = Array.from({ length: CASES }, (_, n) => armFor(company, `${stem}${n}`, percentage)).filter(
          (arm) => arm === "held_out",
        ).length
        // Five standard deviations of a fair assignment.
        const sd = Math.sqrt((CASES * percentage * (100 - percentage)) / 1e4)
        expect(Math.abs(held - (CASES * percentage) / 100)).toBeLessThan(5 * sd)
      }
    }
  })

  test("is independent between companies and between consecutive cases", () => {
    const ids = Array.from({ length: 8_000 }, (_, n) => `payment_in_${n}`)
    const held = (company: string) => ids.map((id) => armFor(company, id, 50) === "held_out")
    const [acme, globex] = [held("acme"), held("globex")]
    const both = acme.filter((isHeld, n) => isHeld === globex[n]).length
    const runs = acme.filter((isHeld, n) => n > 0 && isHeld === acme[n - 1]).length
    for (const agreeing of [both, runs]) expect(Math.abs(agreeing - 4_000)).toBeLessThan(5 * Math.sqrt(2_000))
  })

  test("of a case never changes: a case would change sides in the middle of a measurement", () => {
    const ids = Array.from({ length: 12 }, (_, n) => `payment_in_${n}`)
    const held = (company: string) => ids.map((id) => (armFor(company, id, 50) === "held_out" ? "h" : "t")).join("")
    expect([held("acme"), held("globex")]).toEqual([ARMS_OF_ACME, ARMS_OF_GLOBEX])
  })

  test("holds out a hundredth of the buckets for each percent", () => {
    const bucket = bucketOfKey(`holdout:acme:${CASE}`)
    expect(armFor("acme", CASE, bucket / 100)).toBe("treated")
    expect(armFor("acme", CASE, (bucket + 1) / 100)).toBe("held_out")
  })

  test("holds out no case at 0, and a larger share holds out every case that a smaller one does", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.nat({ max: 50 }), fc.nat({ max: 50 }), (company, caseId, a, b) => {
        expect(armFor(company, caseId, 0)).toBe("treated")
        const [small, large] = [Math.min(a, b), Math.max(a, b)]
        if (armFor(company, caseId, small) === "held_out") expect(armFor(company, caseId, large)).toBe("held_out")
      }),
      { seed: 7, numRuns: 500 },
    )
  })
})

describe("a case is assigned", () => {
  test("when it opens, once", () => {
    const [assigned, ...more] = assign([mailed, failed], 10)
    expect(assigned).toEqual({
      ...{ kind: "case_assigned", id: `case_assigned:${CASE}`, occurredAt: on(0) },
      ...{ caseId: CASE, arm: armFor("acme", CASE, 10), percentage: 10 },
    })
    expect(more).toEqual([])
    if (assigned) expect(assign([mailed, failed, assigned], 50, [], 3)).toEqual([])
  })

  test("never when it is closed, imported, or opened before there was a hold-out", () => {
    expect(assign([failed, make.paymentSucceeded({ at: on(0) })], 50)).toEqual([])
    expect(assign([{ ...failed, origin: "history" }], 50)).toEqual([])
    const old = decide(rebuild([mailed, failed]), [], DEFAULT_SETTINGS, STRIPE, on(0)).flatMap((action) =>
      action.kind === "plan_nudge" ? [action.nudge] : [],
    )
    expect(assign([mailed, failed], 50, old)).toEqual([])
    expect(isHeldOut(rebuild([mailed, failed]), CASE)).toBe(false)
  })

  test("though another case has nudges", () => {
    const other = make.paymentFailed({ at: on(1), invoiceId: "in_2", subscriptionId: "sub_2" })
    const nudge = { id: "n", caseId: CASE } as Nudge
    expect(assign([mailed, failed, other], 50, [nudge], 1).map(({ caseId }) => caseId)).toEqual(["payment_in_2"])
  })

  test("by itself, whatever another case of the subscription was assigned to", () => {
    const assigned = make.caseAssigned({ at: on(1), arm: "treated", percentage: 7 })
    const secondFailure = make.paymentFailed({ at: on(0), invoiceId: "in_2" })
    expect(assign([failed, assigned, secondFailure], 50, [], 2)).toMatchObject([
      { caseId: "payment_in_2", percentage: 50 },
    ])
    const announced = make.cancellationAnnounced({ at: on(0) })
    expect(assign([failed, assigned, announced], 50, [], 2)).toMatchObject([
      { caseId: "cancellation_sub_1_1", percentage: 50 },
    ])
  })

  test("by itself, whatever the cancellation of another subscription was assigned to", () => {
    const assigned = make.caseAssigned({ at: on(1), caseId: "cancellation_sub_2_1", percentage: 7 })
    const both = ["sub_1", "sub_2"].map((subscriptionId) => make.cancellationAnnounced({ at: on(0), subscriptionId }))
    expect(assign([...both, assigned], 50, [], 2)).toMatchObject([{ caseId: "cancellation_sub_1_1", percentage: 50 }])
  })

  test("when an imported case becomes live", () => {
    expect(assign([{ ...failed, origin: "history" }, make.paymentFailed({ at: on(2), attempt: 2 })], 50)).toHaveLength(
      1,
    )
  })

  test("once, even if an earlier announcement that arrives late changes its number", () => {
    const [assigned] = assign([make.cancellationAnnounced({ at: on(5) })], 50, [], 5)
    if (!assigned) throw new Error("no case was assigned")
    const earlier = [
      make.cancellationAnnounced({ at: on(1) }),
      make.subscription("subscription_resumed", { at: on(2) }),
    ]
    const [again] = assign([make.cancellationAnnounced({ at: on(5) }), assigned, ...earlier], 0, [], 6)
    expect(again).toMatchObject({ caseId: "cancellation_sub_1_2", arm: assigned.arm, percentage: assigned.percentage })
    // A cancellation announced after that assignment is a different case.
    const later = [
      make.subscription("subscription_resumed", { at: on(7) }),
      make.cancellationAnnounced({ at: on(9), id: "ninth" }),
    ]
    const [second] = assign([make.cancellationAnnounced({ at: on(5) }), assigned, ...later], 0, [], 9)
    expect(second).toMatchObject({ caseId: "cancellation_sub_1_2", percentage: 0, arm: "treated" })
  })
})

describe("an assignment stays", () => {
  test("at any later percentage and for any order of arrival", () => {
    fc.assert(
      fc.property(
        providerFacts.chain((facts) => fc.tuple(fc.constant(facts), fc.nat({ max: 50 }), fc.nat({ max: 50 }))),
        fc.infiniteStream(fc.nat()),
        ([facts, first, second], shuffle) => {
          const assigned = assign(facts, first)
          expect(assign([...facts, ...assigned], second, [], 9)).toEqual([])
          const arrived = [...facts, ...assigned]
            .map((fact) => ({ fact, key: shuffle.next().value ?? 0 }))
            .sort((a, b) => a.key - b.key)
            .map(({ fact }) => fact)
          const state = rebuild(arrived)
          for (const { caseId, arm } of assigned) {
            expect(assignmentOf(state, caseId)?.arm).toBe(arm)
            expect(arm).toBe(armFor("acme", caseId, first))
          }
        },
      ),
      { seed: 11, numRuns: 200 },
    )
  })

  test("if two are recorded: the first counts, in any order", () => {
    fc.assert(
      fc.property(
        arbitraryFacts.chain((facts) => {
          const two = [
            make.caseAssigned({ at: on(1), id: "b", arm: "treated" }),
            make.caseAssigned({ at: on(3), id: "a", arm: "held_out" }),
          ]
          const others = facts.filter((fact) => fact.kind !== "case_assigned")
          return arrivalOrders([...others, ...two])
        }),
        (arrived) => {
          expect(assignmentOf(rebuild(arrived), CASE)?.arm).toBe("treated")
        },
      ),
      { seed: 13, numRuns: 100 },
    )
  })
})

describe("a case that is held out", () => {
  const caseId = `payment_${heldOutCase}`
  const facts = [mailed, make.paymentFailed({ at: on(0), invoiceId: heldOutCase ?? "" })]
  const assigned = assign(facts, HOLDOUT_PERCENTAGE_MAX)
  const state = rebuild([...facts, ...assigned])
  const alerted = { ...DEFAULT_SETTINGS, alertTeam: true }

  test("has all its steps suppressed at once with the reason, including the team's", () => {
    const planned = decide(state, [], alerted, STRIPE, on(0)).flatMap((action) =>
      action.kind === "plan_nudge" ? [action.nudge] : [],
    )
    expect(planned.map(({ channel, status, reason }) => [channel, status, reason])).toEqual([
      ["email", "suppressed", "held_out"],
      ["email", "suppressed", "held_out"],
      ["email", "suppressed", "held_out"],
      ["slack", "suppressed", "held_out"],
    ])
    expect(decide(state, planned, alerted, STRIPE, on(1))).toEqual([])
  })

  test("sends no planned step, but a manual nudge", () => {
    const nudge: Nudge = {
      ...{ id: `${caseId}.0.email`, caseId, step: 0, channel: "email", status: "planned", reason: null },
      ...{ incentive: null, dueAt: on(0), attempts: 0, sentAt: null },
    }
    expect(decideSend(state, nudge, [], DEFAULT_SETTINGS, on(0))).toEqual({ kind: "suppress", reason: "held_out" })
    const manual = { ...nudge, id: manualNudgeId(caseId, "k", "email"), step: null }
    expect(decideSend(state, manual, [], DEFAULT_SETTINGS, on(0))).toEqual({ kind: "send" })
  })
})
