/** What an action does to the selected cases, before and after it is done. */
import type { FC } from "hono/jsx"
import type { AnswerOf } from "../../../reference/answers/all.ts"
import { Badge, Heading, PostForm, Table, type Tone } from "../../parts/parts.tsx"

type BulkResult = AnswerOf<"POST /api/cases/bulk">["data"][number]

const OUTCOMES = {
  done: ["done", "good"],
  would_be_done: ["will be done", "info"],
  refused: ["not done", "warn"],
  not_tried: ["not tried: select it again", "warn"],
} as const satisfies Readonly<Record<BulkResult["outcome"], readonly [text: string, tone: Tone]>>

/** What an action would do to each selected case, with a button to do it; or what it did. */
export const BulkPage: FC<{
  readonly action: "nudge" | "close"
  readonly isDryRun: boolean
  readonly formKey: string
  readonly results: readonly BulkResult[]
}> = ({ action, isDryRun, formKey, results }) => {
  const possible = results.filter(({ outcome }) => outcome === "would_be_done")
  const what = action === "nudge" ? "messages" : "closings"
  return (
    <>
      <Heading
        title={isDryRun ? `Check before ${what}` : `Result of the ${what}`}
        lead={
          isDryRun
            ? `${possible.length} of ${results.length} cases would change. Nothing has changed yet.`
            : `${results.filter(({ outcome }) => outcome === "done").length} of ${results.length} cases changed.`
        }
      />
      <Table
        caption="Selected cases"
        rows={results}
        empty="No case was selected."
        columns={[
          {
            title: "Case",
            cell: ({ caseId }) => <a href={`/dashboard/cases/${encodeURIComponent(caseId)}`}>{caseId}</a>,
          },
          {
            title: "Result",
            cell: ({ outcome }) => <Badge tone={OUTCOMES[outcome][1]}>{OUTCOMES[outcome][0]}</Badge>,
          },
          { title: "Channel", cell: ({ channel }) => channel ?? "–" },
          { title: "Why", cell: ({ detail }) => detail ?? "–" },
        ]}
      />
      {isDryRun && possible.length > 0 && (
        <PostForm class="stack" action="/dashboard/cases/bulk">
          <input type="hidden" name="action" value={action} />
          <input type="hidden" name="step" value="confirmed" />
          <input type="hidden" name="key" value={formKey} />
          {possible.map(({ caseId }) => (
            <input type="hidden" name="caseId" value={caseId} />
          ))}
          {action === "close" && <p class="note">Closed cases count as lost. This cannot be undone.</p>}
          <div>
            <button class={action === "close" ? "danger" : undefined} type="submit">
              {action === "nudge" ? `Send ${possible.length} messages` : `Close ${possible.length} cases`}
            </button>
          </div>
        </PostForm>
      )}
    </>
  )
}
