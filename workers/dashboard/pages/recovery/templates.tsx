/** Message templates of the company: list, form with preview, versions. */
import { Hono } from "hono"
import type { FC } from "hono/jsx"
import type { TemplateWords } from "../../../../shared/domain/messaging/templates/templates.ts"
import { MESSAGE_ACTIONS } from "../../../../shared/domain/recovery/decline-codes.ts"
import { MEMBER_CHANNELS } from "../../../../shared/domain/settings.ts"
import type { AnswerOf } from "../../../reference/answers/all.ts"
import { act, type DashboardContext, type DashboardEnv, formOf, frameOf, numberIn, show } from "../../page.tsx"
import { type AuthorName, authorNames } from "../../parts/authors.ts"
import { inWords, KIND_NAMES } from "../../parts/cases.tsx"
import { Badge, Choice, Heading, Panel, PostForm, Table, Time } from "../../parts/parts.tsx"
import { TemplateVersions } from "../../parts/template-versions.tsx"
import {
  canSuggest,
  DraftButtons,
  FieldsNote,
  type Form,
  type FormNotice,
  NoticeAbove,
  PlaceText,
  type Preview,
  Previews,
  placeOf,
  previewOf,
  suggestWords,
  VoiceField,
  WordFields,
  wordsIn,
} from "../../parts/templates.tsx"
import type { Viewer } from "../../viewer.ts"
import { templateVariants } from "./template-variants.tsx"

const PATH = "/dashboard/templates"

const STAGES = ["first", "reminder", "last"]
const LANGUAGES = ["en", "de", "es", "fr"]

type Template = AnswerOf<"GET /api/templates/:id">

const orNull = (text: string | undefined): string | null => (text === undefined || text === "" ? null : text)

/** The field of a place's ask is called `asksFor`, because `ask` is also one of the parts. */
const placeIn = ({ caseKind, stage, asksFor, channel, language }: Form) => ({
  caseKind,
  ...{ stage: orNull(stage), ask: orNull(asksFor), channel: orNull(channel), language: orNull(language) },
})

/** What a page of one template shows of its form. */
interface FormShown {
  readonly words: TemplateWords
  readonly voice: string | undefined
  readonly preview: Preview | null
  readonly notice: FormNotice | null
  readonly canSuggest: boolean
}

/** The form as it is shown again after “Preview” or “Suggest words”: with what was typed, or with a draft. */
async function shownAgain(c: DashboardContext, place: object, form: Form): Promise<FormShown> {
  const { step, voice } = form
  const typed = wordsIn(form)
  const { words, notice } =
    step === "suggest" ? await suggestWords(c, place, typed, voice) : { words: typed, notice: null }
  return { words, voice, preview: await previewOf(c, place, words), notice, canSuggest: canSuggest(c) }
}

const isShownAgain = ({ step }: Form): boolean => step === "preview" || step === "suggest"

export const templates = new Hono<DashboardEnv>()
  .get("/", async (c) => {
    const [{ data }, nameOf] = await Promise.all([c.get("ask")("GET /api/templates"), authorNames(c)])
    return show(c, "Templates", PATH, <TemplatesPage {...frameOf(c)} templates={data} nameOf={nameOf} />)
  })
  // One form for all buttons: what was typed is shown again with its preview, and nothing is lost.
  .post("/", async (c) => {
    const form = await formOf(c)
    if (isShownAgain(form)) {
      const shown = await shownAgain(c, placeIn(form), form)
      return show(c, "New template", PATH, <NewTemplatePage form={form} shown={shown} />)
    }
    return act(c, PATH, async () => {
      await c.get("ask")("POST /api/templates", { body: { ...placeIn(form), words: wordsIn(form) } })
      return "saved"
    })
  })
  .get("/new", (c) => {
    const shown = { words: {}, voice: undefined, preview: null, notice: null, canSuggest: canSuggest(c) }
    return show(c, "New template", PATH, <NewTemplatePage form={{}} shown={shown} />)
  })
  .get("/:id", async (c) => {
    const [one, nameOf] = await Promise.all([
      c.get("ask")("GET /api/templates/:id", { params: c.req.param() }),
      authorNames(c),
    ])
    const preview = c.get("viewer").can("templates:write") ? await previewOf(c, placeOf(one), one.words) : null
    const shown = { words: one.words, voice: undefined, preview, notice: null, canSuggest: canSuggest(c) }
    return show(c, "Template", PATH, <TemplatePage {...frameOf(c)} one={one} shown={shown} nameOf={nameOf} />)
  })
  .post("/:id", async (c) => {
    const form = await formOf(c)
    const ask = c.get("ask")
    const params = c.req.param()
    if (isShownAgain(form)) {
      const [one, nameOf] = await Promise.all([ask("GET /api/templates/:id", { params }), authorNames(c)])
      const shown = await shownAgain(c, placeOf(one), form)
      return show(c, "Template", PATH, <TemplatePage {...frameOf(c)} one={one} shown={shown} nameOf={nameOf} />)
    }
    return act(c, `${PATH}/${params.id}`, async () => {
      const body = { words: wordsIn(form), version: numberIn(form.version), isInForce: form.step !== "off" }
      await ask("PUT /api/templates/:id", { params, body })
      return "saved"
    })
  })
  .route("/:id/variants", templateVariants)

const TemplatesPage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly templates: AnswerOf<"GET /api/templates">["data"]
  readonly nameOf: AuthorName
}> = ({ viewer, now, templates: all, nameOf }) => (
  <>
    <Heading
      title="Templates"
      lead="Custom texts that replace the default ones. If several templates match a message, the most specific one is used. Links and the unsubscribe option are always included."
    >
      {viewer.can("templates:write") && (
        <a class="button" href={`${PATH}/new`}>
          New template
        </a>
      )}
    </Heading>
    <Table
      caption="Templates"
      rows={all}
      empty="All messages use the default texts."
      columns={[
        {
          title: "For",
          cell: (one) => (
            <a href={`${PATH}/${one.id}`}>
              <PlaceText place={one} />
            </a>
          ),
        },
        { title: "Subject", cell: ({ words }) => words.subject ?? "default" },
        { title: "Version", isNumber: true, cell: ({ version }) => version },
        {
          title: "State",
          cell: ({ isInForce }) => <Badge tone={isInForce ? "good" : "plain"}>{isInForce ? "in force" : "off"}</Badge>,
        },
        {
          title: "Variants",
          cell: ({ experiment }) => (experiment === null ? "–" : <Badge tone="info">being compared</Badge>),
        },
        { title: "Saved", cell: ({ savedAt }) => <Time viewer={viewer} at={savedAt} now={now} /> },
        { title: "By", cell: ({ savedBy }) => nameOf(savedBy) },
      ]}
    />
  </>
)

const NewTemplatePage: FC<{ readonly form: Form; readonly shown: FormShown }> = ({ form, shown }) => (
  <>
    <Heading title="New template" />
    <NoticeAbove notice={shown.notice} />
    <div class="columns">
      <Panel title="Words">
        <PostForm class="stack" action={PATH}>
          <div class="filters">
            <label>
              Case
              <select name="caseKind">
                {Object.entries(KIND_NAMES).map(([kind, name]) => (
                  <option value={kind} selected={kind === form.caseKind}>
                    {name}
                  </option>
                ))}
              </select>
            </label>
            <Choice name="stage" label="Stage" value={form.stage} options={STAGES.map((one) => [one, one])} />
            <Choice
              name="asksFor"
              label="Asks for"
              value={form.asksFor}
              options={MESSAGE_ACTIONS.map((one) => [one, inWords(one)])}
            />
            <Choice
              name="channel"
              label="Channel"
              value={form.channel}
              options={MEMBER_CHANNELS.map((one) => [one, one])}
            />
            <Choice
              name="language"
              label="Language"
              value={form.language}
              options={LANGUAGES.map((one) => [one, one])}
            />
          </div>
          <FieldsNote />
          <WordFields words={shown.words} />
          {shown.canSuggest && <VoiceField voice={shown.voice} />}
          <div class="actions">
            <DraftButtons canSuggest={shown.canSuggest} />
            <button type="submit" name="step" value="save">
              Save
            </button>
          </div>
        </PostForm>
      </Panel>
      <Previews preview={shown.preview} />
    </div>
  </>
)

const TemplatePage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly one: Template
  readonly shown: FormShown
  readonly nameOf: AuthorName
}> = ({ viewer, now, one, shown, nameOf }) => {
  const canWrite = viewer.can("templates:write") && one.experiment === null
  const path = `${PATH}/${one.id}`
  return (
    <>
      <Heading title="Template" lead={<PlaceText place={one} />}>
        <Badge tone={one.isInForce ? "good" : "plain"}>{one.isInForce ? "in force" : "off"}</Badge>
        <a class="button quiet" href={`${path}/variants`}>
          Variants
        </a>
      </Heading>
      <NoticeAbove notice={shown.notice} />
      {one.experiment !== null && (
        <p class="notice">
          These words are being compared with variants. To change them,{" "}
          <a href={`${path}/variants`}>end the comparison</a>.
        </p>
      )}
      <div class="columns">
        <Panel title="Words">
          <PostForm class="stack" action={path}>
            <input type="hidden" name="version" value={String(one.version)} />
            <fieldset class="stack" disabled={!canWrite}>
              <FieldsNote />
              <WordFields words={shown.words} />
              {canWrite && shown.canSuggest && <VoiceField voice={shown.voice} />}
              {canWrite && (
                <div class="actions">
                  <DraftButtons canSuggest={shown.canSuggest} />
                  <button type="submit" name="step" value="save">
                    Save as version {one.version + 1}
                  </button>
                  {one.isInForce && (
                    <button class="quiet" type="submit" name="step" value="off">
                      Switch off
                    </button>
                  )}
                </div>
              )}
            </fieldset>
          </PostForm>
        </Panel>
        <Previews preview={shown.preview} />
      </div>
      <TemplateVersions viewer={viewer} now={now} one={one} nameOf={nameOf} path={path} canWrite={canWrite} />
    </>
  )
}
