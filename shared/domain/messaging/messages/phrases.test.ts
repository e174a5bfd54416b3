import { expect, test } from "vitest"
import { stageOf } from "./phrases.ts"

test.each([
  [null, "first"],
  [-1, "first"],
  [0, "first"],
  [1, "reminder"],
  [3, "reminder"],
  [4, "last"],
  [30, "last"],
])("the message of day %s is the %s one", (step, stage) => {
  expect(stageOf(step)).toBe(stage)
})
