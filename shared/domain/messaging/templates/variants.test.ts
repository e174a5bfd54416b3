import fc from "fast-check"
import { describe, expect, test } from "vitest"
import * as make from "../../../../test/support/events/facts.ts"
import { on } from "../../../../test/support/events/facts.ts"
import { armFor } from "../../interventions/holdout.ts"
import { rebuild } from "../../recovery/fold.ts"
import { findCase } from "../../state.ts"
import type { Experiment, Template } from "./templates.ts"
import { armsOf, asAssigned, assignVariant, CONTROL, variantFor, variantOf } from "./variants.ts"

const EXPERIMENT: Experiment = {
  id: "experiment_1",
  startedAt: on(0),
  controlWeight: 1,
  variants: [{ name: "short", weight: 1, words: { subject: "Short" } }],
}
const TEMPLATE: Template = {
  ...{ id: "template_1", version: 2, caseKind: "payment", stage: null, ask: null, channel: null, language: null },
  words: { subject: "Own" },
  experiment: EXPERIMENT,
}
const CASE = "payment_in_1"
const failed = make.paymentFailed({ at: on(0) })

const assign = (facts: Parameters<typeof rebuild>[0], template: Template = TEMPLATE, day = 1) => {
  const state = rebuild(facts)
  const recoveryCase = findCase(state, CASE)
  if (recoveryCase === undefined) throw new Error("no case")
  return assignVariant(state, recoveryCase, template, { companyId: "acme", now: on(day) })
}

describe("a draw", () => {
  const CASES = 6_000
  const ids = Array.from({ length: CASES }, (_, n) => `payment_in_${n}`)
  const drawn = (company: string, experiment: Experiment) => ids.map((id) => variantFor(company, id, experiment))

  test.each([
    ["half and half", [1, 1]],
    ["one in ten", [9, 1]],
    ["three variants", [2, 1, 1, 4]],
    ["weights in percent", [50, 25, 25]],
  ])("gives each variant its share of cases: %s", (_, [controlWeight = 1, ...weights]) => {
    const variants = weights.map((weight, n) => ({ name: `v${n}`, weight, words: {} }))
    const experiment = { ...EXPERIMENT, controlWeight, variants }
    const names = drawn("acme", experiment)
    const total = controlWeight + weights.reduce((sum, weight) => sum + weight, 0)
    for (const { name, weight } of armsOf(experiment)) {
      const share = weight / total
      const count = names.filter((one) => one === name).length
      // Five standard deviations of a fair draw.
      expect(Math.abs(count - CASES * share)).toBeLessThan(5 * Math.sqrt(CASES * share * (1 - share)))
    }
  })

  test("of a case is the same each time, and only one of the comparison's words", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (company, caseId) => {
        const name = variantFor(company, caseId, EXPERIMENT)
        expect(variantFor(company, caseId, EXPERIMENT)).toBe(name)
        expect([CONTROL, "short"]).toContain(name)
      }),
    )
  })

  test("is independent of the company, of an earlier comparison and of the hold-out", () => {
    const isShort = (company: string, experiment: Experiment) =>
      drawn(company, experiment).map((name) => name === "short")
    const own = isShort("acme", EXPERIMENT)
    const others = [
      isShort("globex", EXPERIMENT),
      isShort("acme", { ...EXPERIMENT, id: "experiment_2" }),
      ids.map((id) => armFor("acme", id, 50) === "held_out"),
    ]
    for (const other of others) {
      const agreeing = own.filter((is, n) => is === other[n]).length
      expect(Math.abs(agreeing - CASES / 2)).toBeLessThan(5 * Math.sqrt(CASES / 4))
    }
  })

  test("never changes: a case would change its words in the middle of a comparison", () => {
    const letters = ids.slice(0, 16).map((id) => (variantFor("acme", id, EXPERIMENT) === CONTROL ? "c" : "s"))
    expect(letters.join("")).toBe("sssccscccsccsccs")
  })
})

describe("a case is assigned", () => {
  test("before its first message with the template", () => {
    expect(assign([failed])).toEqual({
      ...{ kind: "variant_assigned", id: `variant_assigned:experiment_1:${CASE}`, occurredAt: on(1) },
      ...{ caseId: CASE, templateId: "template_1", experimentId: "experiment_1" },
      variant: variantFor("acme", CASE, EXPERIMENT),
    })
  })

  test("once, whatever the weights are later", () => {
    const assigned = make.variantAssigned({ at: on(1), caseId: CASE, variant: "short" })
    for (const controlWeight of [1, 100]) {
      const experiment = { ...EXPERIMENT, controlWeight }
      expect(assign([failed, assigned], { ...TEMPLATE, experiment }, 4)).toBeNull()
    }
    expect(variantOf(rebuild([failed, assigned]), CASE, "experiment_1")).toBe("short")
  })

  test("again in another comparison, if it opened after its start", () => {
    const assigned = make.variantAssigned({ at: on(1), caseId: CASE })
    const next = (startedAt: string) => ({ ...TEMPLATE, experiment: { ...EXPERIMENT, id: "experiment_2", startedAt } })
    expect(assign([failed, assigned], next(on(0)))).toMatchObject({ experimentId: "experiment_2" })
    expect(assign([failed, assigned], next(on(1)))).toBeNull()
  })

  test.each<[string, Parameters<typeof rebuild>[0], Template]>([
    ["without a comparison", [failed], { ...TEMPLATE, experiment: null }],
    ["with a template that never had one", [failed], { ...TEMPLATE, experiment: undefined as never }],
    [
      "that opened before the start",
      [failed],
      { ...TEMPLATE, experiment: { ...EXPERIMENT, startedAt: on(0, "12:00:00") } },
    ],
    ["that is held out", [failed, make.caseAssigned({ at: on(0), arm: "held_out" })], TEMPLATE],
  ])("not %s", (_, facts, template) => {
    expect(assign(facts, template)).toBeNull()
  })

  test("if it is treated", () => {
    expect(assign([failed, make.caseAssigned({ at: on(0), arm: "treated" })])).not.toBeNull()
  })
})

describe("the words of a case", () => {
  const state = (variant: string) => rebuild([failed, make.variantAssigned({ at: on(1), variant })])

  test("are those of its variant, which is named", () => {
    expect(asAssigned(TEMPLATE, state("short"), CASE)).toMatchObject({ words: { subject: "Short" }, variant: "short" })
  })

  test("are the template's own for the control", () => {
    expect(asAssigned(TEMPLATE, state(CONTROL), CASE)).toMatchObject({ words: { subject: "Own" }, variant: CONTROL })
  })

  test.each<[string, Template, string]>([
    ["another case", TEMPLATE, "payment_in_2"],
    ["a comparison that has ended", { ...TEMPLATE, experiment: null }, CASE],
    ["the next comparison", { ...TEMPLATE, experiment: { ...EXPERIMENT, id: "experiment_2" } }, CASE],
  ])("are the template's own, without a name, for %s", (_, template, caseId) => {
    expect(asAssigned(template, state("short"), caseId)).toBe(template)
  })
})
