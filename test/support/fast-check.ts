/**
 * fast-check with one seed for all properties that set none, so that every run of the tests uses the same cases.
 * `PROPERTY_SEED=<number>` uses others. Test files import it as `fast-check` (vitest.config.ts).
 */
import { configureGlobal, readConfigureGlobal } from "fast-check"

const SEED = 20_261_121

configureGlobal({ ...readConfigureGlobal(), seed: Number(process.env.PROPERTY_SEED ?? SEED) })

export * from "fast-check"
export { default } from "fast-check"
