/** What the pages of templates share: the fields of words, drafts of a text model, and previews. */
import type { FC } from "hono/jsx"
import { VOICE_CHARS_MAX } from "../../../shared/domain/messaging/templates/suggestion.ts"
import {
  FIELDS,
  PART_CHARS_MAX,
  PARTS,
  type TemplatePart,
  type TemplateWords,
} from "../../../shared/domain/messaging/templates/templates.ts"
import type { AnswerOf } from "../../reference/answers/all.ts"
import { ApiProblem } from "../api-client.ts"
import type { DashboardContext } from "../page.tsx"
import { inWords, KIND_NAMES } from "./cases.tsx"
import { Panel } from "./parts.tsx"

const PART_NAMES: Readonly<Record<TemplatePart, string>> = {
  subject: "Subject",
  opening: "What happened",
  ask: "What to do",
  button: "Button",
  short: "Text message and push",
}

/** The fields of a form. */
export type Form = Readonly<Record<string, string>>
export type Preview = AnswerOf<"POST /api/templates/preview">

type Place = Pick<AnswerOf<"GET /api/templates/:id">, "caseKind" | "stage" | "ask" | "channel" | "language">

/** Which messages a template is for, as the API states it. */
export const placeOf = ({ caseKind, stage, ask, channel, language }: Place): Place => ({
  ...{ caseKind, stage, ask, channel, language },
})

/** The words of a form, whose fields end in `suffix`; an empty part is written as shipped. */
export const wordsIn = (form: Form, suffix = ""): TemplateWords =>
  Object.fromEntries(
    PARTS.flatMap((part) => {
      const text = form[`${part}${suffix}`]?.trim()
      return text ? [[part, text]] : []
    }),
  )

/** Messages with these words, and their faults. */
export const previewOf = (c: DashboardContext, place: object, words: TemplateWords): Promise<Preview> =>
  c.get("ask")("POST /api/templates/preview", { body: { ...place, words } })

/** A sentence above a form. */
export interface FormNotice {
  readonly kind: "done" | "refused"
  readonly text: string
}

/** What the API refuses, as a sentence above the form, so that nothing that was typed is lost. */
export function noticeOf(error: unknown): FormNotice {
  if (error instanceof ApiProblem) return { kind: "refused", text: error.detail }
  throw error
}

/** Whether the deployment has a text model. */
export const canSuggest = (c: DashboardContext): boolean => c.get("services").textModel !== null

/** Words with a draft of the text model in them; without one they are as they were, and the notice says why. */
export async function suggestWords(
  c: DashboardContext,
  place: object,
  words: TemplateWords,
  voice: string | undefined,
): Promise<{ readonly words: TemplateWords; readonly notice: FormNotice }> {
  try {
    const draft = await c.get("ask")("POST /api/templates/suggest", { body: { ...place, words, voice: voice ?? "" } })
    const left = draft.faults.map(({ part, reason }) => ` Not used for ${part}: ${reason}.`).join("")
    const text = `This is a draft of ${draft.model}. Nothing is saved: read it, change it, then save it.${left}`
    return { words: { ...words, ...draft.words }, notice: { kind: "done", text } }
  } catch (error) {
    return { words, notice: noticeOf(error) }
  }
}

export const NoticeAbove: FC<{ readonly notice: FormNotice | null }> = ({ notice }) =>
  notice && (
    <p class={`notice ${notice.kind}`} role={notice.kind === "refused" ? "alert" : "status"}>
      {notice.text}
    </p>
  )

/** The buttons that show the form again. */
export const DraftButtons: FC<{ readonly canSuggest: boolean }> = (props) => (
  <>
    <button class="quiet" type="submit" name="step" value="preview">
      Preview
    </button>
    {props.canSuggest && (
      <button class="quiet" type="submit" name="step" value="suggest">
        Suggest words
      </button>
    )}
  </>
)

/** What a draft is asked in, beside its button. */
export const VoiceField: FC<{ readonly voice: string | undefined }> = ({ voice }) => (
  <div class="field">
    <label for="voice">Your brand's voice, for a suggestion</label>
    <input id="voice" name="voice" maxlength={VOICE_CHARS_MAX} value={voice ?? ""} placeholder="Warm and short" />
  </div>
)

export const PlaceText: FC<{ readonly place: Place }> = ({ place }) => (
  <span>
    {[KIND_NAMES[place.caseKind], place.stage, inWords(place.ask), place.channel, place.language]
      .filter((part) => part !== null && part !== "–")
      .join(" · ")}
  </span>
)

export const FieldsNote: FC = () => (
  <p class="note">
    Fields: {FIELDS.map((field) => `{${field}}`).join(", ")}. Plural forms are written like this:{" "}
    <code>{"{invoiceCount, plural, one {one invoice} other {# invoices}}"}</code>. An empty part is written as shipped.
  </p>
)

/** A field for each part; their names end in `suffix`. */
export const WordFields: FC<{ readonly words: TemplateWords; readonly suffix?: string }> = ({ words, suffix = "" }) => (
  <>
    {PARTS.map((part) => {
      const name = `${part}${suffix}`
      return (
        <div class="field">
          <label for={`part-${name}`}>{PART_NAMES[part]}</label>
          {PART_CHARS_MAX[part] > 150 ? (
            <textarea id={`part-${name}`} name={name} maxlength={PART_CHARS_MAX[part]} rows={3}>
              {words[part] ?? ""}
            </textarea>
          ) : (
            <input id={`part-${name}`} name={name} maxlength={PART_CHARS_MAX[part]} value={words[part] ?? ""} />
          )}
        </div>
      )
    })}
  </>
)

/** How the messages look, as text; what is faulty is said first. */
export const Previews: FC<{ readonly preview: Preview | null; readonly title?: string }> = ({
  preview: seen,
  title = "Preview",
}) => (
  <Panel title={title} note="Example data: Ada Example owes US$19.99.">
    {seen?.faults.map(({ part, reason }) => (
      <p class="notice refused" role="alert">
        {part}: {reason}
      </p>
    ))}
    {seen?.previews.map(({ channel, subject, text }) => (
      <section class="stack">
        <h3>{channel}</h3>
        {channel === "email" && <strong>{subject}</strong>}
        <p class="message">{text}</p>
      </section>
    ))}
  </Panel>
)
