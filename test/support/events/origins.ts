/** Imported facts, and histories that are partly live and partly imported. */
import fc from "fast-check"
import type { Fact } from "../../../shared/domain/facts.ts"
import { isOutreach } from "../../../shared/domain/recovery/fold.ts"

/** The same facts, each live or imported; our own outreach is never imported. */
export const mixLiveAndImported = (facts: fc.Arbitrary<readonly Fact[]>): fc.Arbitrary<readonly Fact[]> =>
  facts.chain((all) =>
    fc
      .array(fc.boolean(), { minLength: all.length, maxLength: all.length })
      .map((isImported) => all.map((fact, index) => (isImported[index] ? asImported(fact) : fact))),
  )

/** The fact as an import records it. */
export const asImported = (fact: Fact): Fact =>
  isOutreach(fact.kind) || fact.kind === "case_closed_by_operator" ? fact : { ...fact, origin: "history" }
