/**
 * fast-check with few cases for each property: a mutant that lives is met by every test that reaches it, and what needs
 * hundreds of random cases to be noticed deserves an example.
 */
import fc from "../support/fast-check.ts"

const RUNS_MAX = 5

/** The property's own number of cases, or fewer. */
const few = ((property: never, parameters?: fc.Parameters) =>
  fc.assert(property, {
    ...parameters,
    numRuns: Math.min(parameters?.numRuns ?? RUNS_MAX, RUNS_MAX),
  })) as typeof fc.assert

export * from "../support/fast-check.ts"
export { few as assert }
export default { ...fc, assert: few }
