/** Variants of one template: start a comparison, see what is compared, end it and keep the better words. */
import { Hono } from "hono"
import type { FC } from "hono/jsx"
import type { Experiment, TemplateWords } from "../../../../shared/domain/messaging/templates/templates.ts"
import { armsOf, CONTROL, VARIANTS_MAX, WEIGHT_MAX } from "../../../../shared/domain/messaging/templates/variants.ts"
import type { AnswerOf } from "../../../reference/answers/all.ts"
import { type DashboardContext, type DashboardEnv, formOf, frameOf, numberIn, show } from "../../page.tsx"
import { Badge, Heading, Panel, PostForm, Table, Time } from "../../parts/parts.tsx"
import {
  canSuggest,
  FieldsNote,
  type Form,
  type FormNotice,
  NoticeAbove,
  noticeOf,
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
import { percent, type Viewer } from "../../viewer.ts"

const PATH = "/dashboard/templates"

type Template = AnswerOf<"GET /api/templates/:id">

/** One variant of the form. */
interface Entry {
  readonly name: string
  readonly weight: string
  readonly words: TemplateWords
}

const PLACES = Array.from({ length: VARIANTS_MAX }, (_, place) => place)

/** The form at first: one variant that begins with the template's own words. */
const firstEntries = ({ words }: Template): readonly Entry[] =>
  PLACES.map((place) => ({ name: place === 0 ? "a" : "", weight: "1", words: place === 0 ? words : {} }))

const entriesIn = (form: Form): readonly Entry[] =>
  PLACES.map((place) => ({
    name: form[`name-${place}`]?.trim() ?? "",
    weight: form[`weight-${place}`] ?? "1",
    words: wordsIn(form, `-${place}`),
  }))

const isGiven = ({ name, words }: Entry): boolean => name !== "" || Object.keys(words).length > 0

export const templateVariants = new Hono<DashboardEnv>()
  .get("/", async (c) => {
    const one = await c.get("ask")("GET /api/templates/:id", { params: { id: idOf(c) } })
    return page(c, one, { entries: firstEntries(one), controlWeight: "1", voice: undefined })
  })
  .post("/", async (c) => {
    const form = await formOf(c)
    const ask = c.get("ask")
    const params = { id: idOf(c) }
    const path = `${PATH}/${params.id}/variants`
    const version = numberIn(form.version)
    if (form.step === "end") {
      const promote = form.promote === "" ? null : form.promote
      await ask("POST /api/templates/:id/experiment/end", { params, body: { version, promote } })
      return c.redirect(`${path}?done=ended`, 303)
    }
    const one = await ask("GET /api/templates/:id", { params })
    const typed = { entries: entriesIn(form), controlWeight: form.controlWeight ?? "1", voice: form.voice }
    if (form.step !== "start") return page(c, one, await drafted(c, one, typed, form.step))
    try {
      const variants = typed.entries
        .filter(isGiven)
        .map(({ name, weight, words }) => ({ name, words, weight: numberIn(weight) }))
      const body = { version, controlWeight: numberIn(typed.controlWeight), variants }
      await ask("POST /api/templates/:id/experiment", { params, body })
    } catch (error) {
      return page(c, one, { ...typed, notice: noticeOf(error) })
    }
    return c.redirect(`${path}?done=begun`, 303)
  })

const idOf = (c: DashboardContext): string => c.req.param("id") ?? ""

interface Typed {
  readonly entries: readonly Entry[]
  readonly controlWeight: string
  readonly voice: string | undefined
  readonly notice?: FormNotice | null
}

/** What was typed, with a draft in the variant for which one was asked (`suggest-1`); as it was after “Preview”. */
async function drafted(c: DashboardContext, one: Template, typed: Typed, step: string | undefined): Promise<Typed> {
  const place = PLACES.find((each) => step === `suggest-${each}`)
  const entry = place === undefined ? undefined : typed.entries[place]
  if (place === undefined || entry === undefined) return typed
  const from = Object.keys(entry.words).length > 0 ? entry.words : one.words
  const { words, notice } = await suggestWords(c, placeOf(one), from, typed.voice)
  return { ...typed, notice, entries: typed.entries.with(place, { ...entry, words }) }
}

async function page(c: DashboardContext, one: Template, typed: Typed): Promise<Response> {
  const canWrite = c.get("viewer").can("templates:write")
  const given = canWrite && one.experiment === null ? typed.entries.filter(isGiven) : []
  const previews: (readonly [string, Preview])[] = []
  for (const { name, words } of given) previews.push([name, await previewOf(c, placeOf(one), words)])
  const shown = { ...typed, previews, canSuggest: canSuggest(c) }
  return show(c, "Variants", PATH, <VariantsPage {...frameOf(c)} one={one} shown={shown} canWrite={canWrite} />)
}

const VariantsPage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly one: Template
  readonly canWrite: boolean
  readonly shown: Typed & {
    readonly previews: readonly (readonly [string, Preview])[]
    readonly canSuggest: boolean
  }
}> = ({ viewer, now, one, canWrite, shown }) => (
  <>
    <Heading title="Variants" lead={<PlaceText place={one} />}>
      <a class="button quiet" href={`${PATH}/${one.id}`}>
        Template
      </a>
      <a class="button quiet" href="/dashboard/interventions">
        Results
      </a>
    </Heading>
    <NoticeAbove notice={shown.notice ?? null} />
    {one.experiment !== null && (
      <UnderWay viewer={viewer} now={now} one={one} experiment={one.experiment} canWrite={canWrite} />
    )}
    {one.experiment === null && !canWrite && <p class="empty">No comparison is under way.</p>}
    {one.experiment === null && canWrite && (
      <div class="columns">
        <StartForm one={one} shown={shown} />
        <div class="stack">
          {shown.previews.map(([name, preview]) => (
            <Previews title={`Preview: ${name === "" ? "without a name" : name}`} preview={preview} />
          ))}
        </div>
      </div>
    )}
  </>
)

const UnderWay: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly one: Template
  readonly experiment: Experiment
  readonly canWrite: boolean
}> = ({ viewer, now, one, experiment, canWrite }) => {
  const arms = armsOf(experiment)
  const total = arms.reduce((sum, { weight }) => sum + weight, 0)
  const wordsOf = (name: string): TemplateWords =>
    experiment.variants.find((one) => one.name === name)?.words ?? one.words
  return (
    <Panel
      title="Comparison under way"
      note="Every case that opened since the start gets the words that it was assigned to, in all its messages."
    >
      <p>
        Started <Time viewer={viewer} at={experiment.startedAt} now={now} />.
      </p>
      <Table
        caption="Compared words"
        rows={arms}
        empty="There are none."
        columns={[
          {
            title: "Words",
            cell: ({ name }) =>
              name === CONTROL ? <Badge>control: the template's own</Badge> : <Badge tone="info">{name}</Badge>,
          },
          { title: "Share of cases", isNumber: true, cell: ({ weight }) => percent(viewer, weight / total, 0) },
          { title: "Texts", cell: ({ name }) => Object.values(wordsOf(name)).join(" · ") },
          {
            title: "Act",
            cell: ({ name }) =>
              canWrite ? (
                <PostForm action={`${PATH}/${one.id}/variants`}>
                  <input type="hidden" name="version" value={String(one.version)} />
                  <input type="hidden" name="promote" value={name === CONTROL ? "" : name} />
                  <button class="quiet" type="submit" name="step" value="end">
                    {name === CONTROL ? "End, and keep these" : `End, and use “${name}”`}
                  </button>
                </PostForm>
              ) : (
                "–"
              ),
          },
        ]}
      />
    </Panel>
  )
}

const StartForm: FC<{ readonly one: Template; readonly shown: Typed & { readonly canSuggest: boolean } }> = ({
  one,
  shown,
}) => (
  <Panel
    title="Start a comparison"
    note="Each new case is assigned at random, and keeps its words. Held-out cases take no part. Results are compared as assigned."
  >
    <PostForm class="stack" action={`${PATH}/${one.id}/variants`}>
      <input type="hidden" name="version" value={String(one.version)} />
      <FieldsNote />
      <WeightField id="controlWeight" label="Weight of the template's own words" value={shown.controlWeight} />
      {shown.canSuggest && <VoiceField voice={shown.voice} />}
      {shown.entries.map((entry, place) => (
        <details open={place === 0 || isGiven(entry)}>
          <summary>Variant {place + 1}</summary>
          <fieldset class="stack">
            <legend class="hidden">Variant {place + 1}</legend>
            <div class="filters">
              <label>
                Name
                <input name={`name-${place}`} maxlength={30} value={entry.name} />
              </label>
              <WeightField id={`weight-${place}`} label="Weight" value={entry.weight} />
            </div>
            <WordFields words={entry.words} suffix={`-${place}`} />
            {shown.canSuggest && (
              <div class="actions">
                <button class="quiet" type="submit" name="step" value={`suggest-${place}`}>
                  Suggest words for variant {place + 1}
                </button>
              </div>
            )}
          </fieldset>
        </details>
      ))}
      <div class="actions">
        <button class="quiet" type="submit" name="step" value="preview">
          Preview
        </button>
        <button type="submit" name="step" value="start">
          Start the comparison
        </button>
      </div>
    </PostForm>
  </Panel>
)

const WeightField: FC<{ readonly id: string; readonly label: string; readonly value: string }> = ({
  id,
  label,
  value,
}) => (
  <label>
    {label}
    <input type="number" name={id} min="1" max={String(WEIGHT_MAX)} value={value} />
  </label>
)
