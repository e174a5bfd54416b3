/** The results of a comparison of a template with its variants. */
import type { FC } from "hono/jsx"
import type { AnswerOf } from "../../reference/answers/all.ts"
import { number, percent, type Viewer } from "../viewer.ts"
import { Badge, Panel, Table, Time, type Tone } from "./parts.tsx"
import { PlaceText } from "./templates.tsx"

type VariantComparison = AnswerOf<"GET /api/interventions">["variants"][number]

const VARIANT_VERDICTS: Readonly<
  Record<NonNullable<VariantComparison["arms"][number]["lift"]>["verdict"], readonly [text: string, tone: Tone]>
> = {
  too_few_to_tell: ["not enough cases", "plain"],
  more: ["higher than control", "good"],
  less: ["lower than control", "bad"],
  no_difference_shown: ["no difference shown", "plain"],
}

/** One comparison: the words, their cases, and the difference of each variant from the template's own words. */
export const VariantsPanel: FC<{
  readonly viewer: Viewer
  readonly one: VariantComparison
  readonly horizonDays: number
}> = ({ viewer, one: { template, startedAt, endedAt, arms }, horizonDays }) => (
  <Panel
    title="Variants of a template"
    note={`Outcomes are measured ${horizonDays} days after the first message with the template, by the words that a case was assigned to.`}
  >
    <p>
      <a href={`/dashboard/templates/${template.id}/variants`}>
        <PlaceText place={template} />
      </a>
      , from <Time viewer={viewer} at={startedAt} /> to{" "}
      {endedAt === null ? "now" : <Time viewer={viewer} at={endedAt} />}
    </p>
    <Table
      caption="Variants"
      rows={arms}
      empty="There are none."
      columns={[
        { title: "Words", cell: ({ name }) => name },
        { title: "Cases", isNumber: true, cell: ({ cases }) => number(viewer, cases) },
        {
          title: "Kept",
          isNumber: true,
          cell: ({ successes, matured }) => `${number(viewer, successes)} of ${number(viewer, matured)}`,
        },
        {
          title: "Rate",
          isNumber: true,
          cell: ({ rate, low, high }) =>
            rate === null
              ? "–"
              : `${percent(viewer, rate, 1)} (${percent(viewer, low, 1)} to ${percent(viewer, high, 1)})`,
        },
        {
          title: "Difference from control",
          isNumber: true,
          cell: ({ lift }) =>
            lift === null || lift.difference === null
              ? "–"
              : `${percent(viewer, lift.difference, 1)} (${percent(viewer, lift.low, 1)} to ${percent(viewer, lift.high, 1)})`,
        },
        {
          title: "Result",
          cell: ({ lift }) => {
            if (lift === null) return "–"
            const [text, tone] = VARIANT_VERDICTS[lift.verdict]
            return <Badge tone={tone}>{text}</Badge>
          },
        },
      ]}
    />
  </Panel>
)
