/** Scores of customers, as pages show them. */
import type { AnswerOf } from "../../reference/answers/all.ts"

export type ScoreAnswer = AnswerOf<"GET /api/customers/:id/scores">["data"][number]

/** The three strongest reasons of a score. */
export const reasonsOf = ({ reasons }: ScoreAnswer): string =>
  reasons
    .slice(0, 3)
    .map(({ label }) => label)
    .join(", ") || "–"
