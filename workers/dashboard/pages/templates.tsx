/**
 * Message templates of the company: list, form with preview, versions. Over 300 lines because the pages for a new and for an existing
 * template share the form and the preview.
 */
import { Hono } from "hono"
import type { FC } from "hono/jsx"
import {
  FIELDS,
  PART_CHARS_MAX,
  PARTS,
  type TemplatePart,
} from "../../../shared/domain/messaging/templates/templates.ts"
import { MESSAGE_ACTIONS } from "../../../shared/domain/recovery/decline-codes.ts"
import { MEMBER_CHANNELS } from "../../../shared/domain/settings.ts"
import type { AnswerOf } from "../../reference/answers/all.ts"
import { act, type DashboardContext, type DashboardEnv, formOf, frameOf, numberIn, show } from "../page.tsx"
import { inWords, KIND_NAMES } from "../parts/cases.tsx"
import { Badge, Choice, Heading, Panel, PostForm, Table, Time } from "../parts/parts.tsx"
import type { Viewer } from "../viewer.ts"

const PATH = "/dashboard/templates"

const PART_NAMES: Readonly<Record<TemplatePart, string>> = {
  subject: "Subject",
  opening: "What happened",
  ask: "What to do",
  button: "Button",
  short: "Text message and push",
}

const STAGES = ["first", "reminder", "last"]
const LANGUAGES = ["en", "de", "es", "fr"]

type Form = Readonly<Record<string, string>>
type Words = { readonly [Part in TemplatePart]?: string }
type Template = AnswerOf<"GET /api/templates/:id">
type Preview = AnswerOf<"POST /api/templates/preview">

const orNull = (text: string | undefined): string | null => (text === undefined || text === "" ? null : text)

/** The words of a form; an empty part is written as shipped. */
const wordsIn = (form: Form): Words =>
  Object.fromEntries(PARTS.flatMap((part) => (form[part]?.trim() ? [[part, form[part].trim()]] : [])))

/** The field of a place's ask is called `asksFor`, because `ask` is also one of the parts. */
const placeIn = ({ caseKind, stage, asksFor, channel, language }: Form) => ({
  caseKind,
  ...{ stage: orNull(stage), ask: orNull(asksFor), channel: orNull(channel), language: orNull(language) },
})

const placeOf = ({ caseKind, stage, ask, channel, language }: Omit<Template, "versions">) => ({
  ...{ caseKind, stage, ask, channel, language },
})

const preview = (c: DashboardContext, place: object, words: Words): Promise<Preview> =>
  c.get("ask")("POST /api/templates/preview", { body: { ...place, words } })

export const templates = new Hono<DashboardEnv>()
  .get("/", async (c) => {
    const { data } = await c.get("ask")("GET /api/templates")
    return show(c, "Templates", PATH, <TemplatesPage {...frameOf(c)} templates={data} />)
  })
  // One form for both buttons: what was typed is shown again with its preview, and nothing is lost.
  .post("/", async (c) => {
    const form = await formOf(c)
    if (form.step === "preview") {
      const seen = await preview(c, placeIn(form), wordsIn(form))
      return show(c, "New template", PATH, <NewTemplatePage form={form} preview={seen} />)
    }
    return act(c, PATH, async () => {
      await c.get("ask")("POST /api/templates", { body: { ...placeIn(form), words: wordsIn(form) } })
      return "saved"
    })
  })
  .get("/new", (c) => show(c, "New template", PATH, <NewTemplatePage form={{}} preview={null} />))
  .get("/:id", async (c) => {
    const one = await c.get("ask")("GET /api/templates/:id", { params: c.req.param() })
    const seen = c.get("viewer").can("templates:write") ? await preview(c, placeOf(one), one.words) : null
    return show(c, "Template", PATH, <TemplatePage {...frameOf(c)} one={one} words={one.words} preview={seen} />)
  })
  .post("/:id", async (c) => {
    const form = await formOf(c)
    const ask = c.get("ask")
    const params = c.req.param()
    if (form.step === "preview") {
      const one = await ask("GET /api/templates/:id", { params })
      const words = wordsIn(form)
      const seen = await preview(c, placeOf(one), words)
      return show(c, "Template", PATH, <TemplatePage {...frameOf(c)} one={one} words={words} preview={seen} />)
    }
    return act(c, `${PATH}/${params.id}`, async () => {
      const body = { words: wordsIn(form), version: numberIn(form.version), isInForce: form.step !== "off" }
      await ask("PUT /api/templates/:id", { params, body })
      return "saved"
    })
  })

const PlaceText: FC<{ readonly place: Omit<Template, "versions"> }> = ({ place }) => (
  <span>
    {[KIND_NAMES[place.caseKind], place.stage, inWords(place.ask), place.channel, place.language]
      .filter((part) => part !== null && part !== "–")
      .join(" · ")}
  </span>
)

const TemplatesPage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly templates: AnswerOf<"GET /api/templates">["data"]
}> = ({ viewer, now, templates: all }) => (
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
        { title: "Saved", cell: ({ savedAt }) => <Time viewer={viewer} at={savedAt} now={now} /> },
        { title: "By", cell: ({ savedBy }) => savedBy },
      ]}
    />
  </>
)

const WordFields: FC<{ readonly words: Words }> = ({ words }) => (
  <>
    <p class="note">
      Fields: {FIELDS.map((field) => `{${field}}`).join(", ")}. Plural forms are written like this:{" "}
      <code>{"{invoiceCount, plural, one {one invoice} other {# invoices}}"}</code>. An empty part is written as
      shipped.
    </p>
    {PARTS.map((part) => (
      <div class="field">
        <label for={`part-${part}`}>{PART_NAMES[part]}</label>
        {PART_CHARS_MAX[part] > 150 ? (
          <textarea id={`part-${part}`} name={part} maxlength={PART_CHARS_MAX[part]} rows={3}>
            {words[part] ?? ""}
          </textarea>
        ) : (
          <input id={`part-${part}`} name={part} maxlength={PART_CHARS_MAX[part]} value={words[part] ?? ""} />
        )}
      </div>
    ))}
  </>
)

const NewTemplatePage: FC<{ readonly form: Form; readonly preview: Preview | null }> = ({ form, preview: seen }) => (
  <>
    <Heading title="New template" />
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
          <WordFields words={form} />
          <div class="actions">
            <button class="quiet" type="submit" name="step" value="preview">
              Preview
            </button>
            <button type="submit" name="step" value="save">
              Save
            </button>
          </div>
        </PostForm>
      </Panel>
      <Previews preview={seen} />
    </div>
  </>
)

const TemplatePage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly one: Template
  readonly words: Words
  readonly preview: Preview | null
}> = ({ viewer, now, one, words, preview: seen }) => {
  const canWrite = viewer.can("templates:write")
  const path = `${PATH}/${one.id}`
  return (
    <>
      <Heading title="Template" lead={<PlaceText place={one} />}>
        <Badge tone={one.isInForce ? "good" : "plain"}>{one.isInForce ? "in force" : "off"}</Badge>
      </Heading>
      <div class="columns">
        <Panel title="Words">
          <PostForm class="stack" action={path}>
            <input type="hidden" name="version" value={String(one.version)} />
            <fieldset class="stack" disabled={!canWrite}>
              <WordFields words={words} />
              {canWrite && (
                <div class="actions">
                  <button class="quiet" type="submit" name="step" value="preview">
                    Preview
                  </button>
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
        <Previews preview={seen} />
      </div>
      <Panel title="Versions" note="The timeline of a case shows which version was used.">
        <Table
          caption="Versions"
          rows={one.versions}
          empty="There is none."
          columns={[
            { title: "Version", isNumber: true, cell: ({ version }) => version },
            { title: "Saved", cell: ({ savedAt }) => <Time viewer={viewer} at={savedAt} now={now} /> },
            { title: "By", cell: ({ savedBy }) => savedBy },
            { title: "Words", cell: (saved) => Object.values(saved.words).join(" · ") },
            {
              title: "Act",
              cell: (saved) =>
                canWrite && saved.version !== one.version ? (
                  <PostForm action={path}>
                    <input type="hidden" name="version" value={String(one.version)} />
                    {PARTS.map((part) => (
                      <input type="hidden" name={part} value={saved.words[part] ?? ""} />
                    ))}
                    <button class="quiet" type="submit" name="step" value="save">
                      Go back to it
                    </button>
                  </PostForm>
                ) : (
                  "–"
                ),
            },
          ]}
        />
      </Panel>
    </>
  )
}

/** How the messages look, as text; what is faulty is said first. */
const Previews: FC<{ readonly preview: Preview | null }> = ({ preview: seen }) => (
  <Panel title="Preview" note="Example data: Ada Example owes US$19.99.">
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
