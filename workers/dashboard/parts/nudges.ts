import type { AnswerOf } from "../../reference/answers/all.ts"
import type { Tone } from "./parts.tsx"

type NudgeStatus = AnswerOf<"GET /api/nudges">["data"][number]["status"]

/** The colour of each status of a nudge. */
export const NUDGE_TONES: Readonly<Record<NudgeStatus, Tone>> = {
  planned: "info",
  sent: "good",
  failed: "bad",
  suppressed: "plain",
  unknown: "warn",
}
