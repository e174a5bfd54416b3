/**
 * The company's branding: a form, and below it an e-mail and a member's page in light and dark. Over 300 lines, because the
 * form, its upload and its previews share what was typed.
 */
import { Hono } from "hono"
import type { FC } from "hono/jsx"
import * as z from "zod"
import { toBase64 } from "../../../../shared/crypto/bytes.ts"
import { DEFAULT_ACCENT } from "../../../../shared/domain/messaging/messages/colours.ts"
import { AppError } from "../../../platform/errors.ts"
import type { AnswerOf } from "../../../reference/answers/all.ts"
import { ApiProblem } from "../../api-client.ts"
import {
  act,
  type DashboardContext,
  type DashboardEnv,
  formData,
  formOf,
  frameOf,
  numberIn,
  UPLOAD_PATH as PATH,
  show,
} from "../../page.tsx"
import { authorNames } from "../../parts/authors.ts"
import { Badge, Heading, Panel, PostForm, pathWith, Time } from "../../parts/parts.tsx"
import type { Viewer } from "../../viewer.ts"

type Branding = AnswerOf<"GET /api/branding">
type Form = Readonly<Record<string, string | undefined>>

/** The fields of a form; empty is none. */
interface Fields {
  readonly logo: string | null
  readonly accent: string | null
  readonly signature: string | null
  readonly replyTo: string | null
  readonly postalAddress: string | null
}

/** This page frames its previews. */
const PAGE_POLICY =
  "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

/** A preview has inline styles, as e-mails do, and nothing else; its texts are escaped as in a message. */
const PREVIEW_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; form-action 'none'; frame-ancestors 'self'; base-uri 'none'"

const orNull = (text: string | undefined): string | null => (text === undefined || text.trim() === "" ? null : text)

/** A colour field is never empty: our own colour stands for none. */
const fieldsIn = ({ logo, removeLogo, accent, signature, replyTo, postalAddress }: Form): Fields => ({
  logo: removeLogo === "yes" ? null : orNull(logo),
  accent: accent === DEFAULT_ACCENT ? null : orNull(accent),
  ...{ signature: orNull(signature), replyTo: orNull(replyTo), postalAddress: orNull(postalAddress) },
})

const fieldsOf = ({ logo, accent, signature, replyTo, postalAddress }: Branding): Fields => ({
  ...{ logo: logo?.id ?? null, accent, signature, replyTo, postalAddress },
})

const previewName = z.object({ view: z.enum(["email", "page"]), scheme: z.enum(["light", "dark"]) })

const preview = (c: DashboardContext, fields: Fields) => c.get("ask")("POST /api/branding/preview", { body: fields })

export const branding = new Hono<DashboardEnv>()
  .get("/", async (c) => {
    const current = await c.get("ask")("GET /api/branding")
    return showPage(c, { current, fields: fieldsOf(current), version: current.version })
  })
  // What was typed is shown again when it is refused, and nothing is lost.
  .post("/", async (c) => {
    const form = await formOf(c)
    const ask = c.get("ask")
    let fields = fieldsIn(form)
    let version = numberIn(form.version) ?? 0
    let refused: string | undefined
    try {
      const image = await fileIn(c)
      if (image !== null) fields = { ...fields, logo: (await ask("POST /api/branding/logos", { body: { image } })).id }
      if (form.step === "save") {
        return await act(c, PATH, async () => {
          await ask("PUT /api/branding", { body: { ...fields, version } })
          return "saved"
        })
      }
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error
      refused = error.detail
    }
    const current = await ask("GET /api/branding")
    if (form.step === "save" && version !== current.version) {
      refused = `Another user has saved version ${current.version} of the branding. Your entries are below and are not saved. If you save them now, they replace that version.`
      version = current.version
    }
    return showPage(c, { current, fields, version, refused })
  })
  .post("/approval", async (c) => {
    const { version } = await formOf(c)
    return act(c, PATH, async () => {
      await c.get("ask")("PUT /api/branding/approval", { body: { version: numberIn(version) } })
      return "saved"
    })
  })
  .get("/preview/:view/:scheme", async (c) => {
    const { data: name } = previewName.safeParse(c.req.param())
    if (name === undefined) throw new AppError("NOT_FOUND", "There is no such preview.")
    const { email, page } = await preview(c, fieldsIn(c.req.query()))
    c.header("content-security-policy", PREVIEW_POLICY)
    c.header("x-frame-options", "SAMEORIGIN")
    return c.html(inScheme(name.view === "email" ? (email.html ?? "") : page.html, name.scheme))
  })

/** A document as a browser with this scheme shows it, whatever the viewer's is. */
const inScheme = (html: string, scheme: "light" | "dark"): string =>
  html
    .replaceAll('content="light dark"', `content="${scheme}"`)
    .replaceAll("color-scheme:light dark", `color-scheme:${scheme}`)
    .replaceAll("@media (prefers-color-scheme:dark)", scheme === "dark" ? "@media all" : "@media not all")

/** The uploaded image as base64; null when none was chosen. */
async function fileIn(c: DashboardContext): Promise<string | null> {
  const file = (await formData(c)).get("image")
  return file === null || typeof file === "string" || file.size === 0
    ? null
    : toBase64(new Uint8Array(await file.arrayBuffer()))
}

interface PageProps {
  readonly current: Branding
  readonly fields: Fields
  /** The version that the form was made from. */
  readonly version: number
  readonly refused?: string | undefined
}

async function showPage(c: DashboardContext, props: PageProps) {
  let { refused } = props
  let text: string | null = null
  try {
    text = (await preview(c, props.fields)).email.text
  } catch (error) {
    if (!(error instanceof ApiProblem)) throw error
    refused ??= error.detail
  }
  c.header("content-security-policy", PAGE_POLICY)
  const savedBy = (await authorNames(c))(props.current.savedBy)
  const page = <BrandingPage {...frameOf(c)} {...props} refused={refused} text={text} savedBy={savedBy} />
  return show(c, "Branding", PATH, page)
}

const BrandingPage: FC<
  PageProps & {
    readonly viewer: Viewer
    readonly now: Date
    /** The text part of the example e-mail; null: the fields are not valid. */
    readonly text: string | null
    readonly savedBy: string
  }
> = ({ viewer, now, current, fields, version, refused, text, savedBy }) => (
  <>
    <Heading
      title="Branding"
      lead={
        <>
          How e-mails and members' pages look.{" "}
          {current.savedAt === null ? (
            "Nothing is saved yet."
          ) : (
            <>
              Version {current.version}, saved <Time viewer={viewer} at={current.savedAt} now={now} /> by {savedBy}.
            </>
          )}
        </>
      }
    >
      {current.savedAt !== null && (
        <Badge tone={current.isWaiting ? "warn" : "good"}>
          {current.isWaiting ? "waits for approval" : "in force"}
        </Badge>
      )}
    </Heading>
    {refused !== undefined && (
      <p class="notice refused" role="alert">
        {refused}
      </p>
    )}
    {current.isWaiting && <Approval viewer={viewer} current={current} />}
    <Panel title="Look">
      <BrandingForm fields={fields} version={version} isLocked={!viewer.can("templates:write")} />
      <Contrasts colours={current.colours} />
    </Panel>
    {text !== null && <Previews fields={fields} text={text} />}
  </>
)

const Approval: FC<{ readonly viewer: Viewer; readonly current: Branding }> = ({ viewer, current }) => (
  <Panel
    title="Approval"
    note={`The company uses the deployment's sender, so an operator approves its branding. ${
      current.shownVersion === null
        ? "Until then, members see none."
        : `Until then, members see version ${current.shownVersion}.`
    }`}
  >
    {viewer.can("brands:write") && (
      <PostForm action={`${PATH}/approval`}>
        <input type="hidden" name="version" value={String(current.version)} />
        <button type="submit">Approve version {current.version}</button>
      </PostForm>
    )}
  </Panel>
)

const BrandingForm: FC<{ readonly fields: Fields; readonly version: number; readonly isLocked: boolean }> = ({
  fields,
  version,
  isLocked,
}) => (
  <PostForm class="stack" action={PATH} enctype="multipart/form-data">
    <input type="hidden" name="version" value={String(version)} />
    <input type="hidden" name="logo" value={fields.logo ?? ""} />
    <fieldset class="stack" disabled={isLocked}>
      <div class="field">
        <label for="image">Logo (PNG or JPEG, at most 64 KiB; shown on white)</label>
        <input id="image" type="file" name="image" accept="image/png,image/jpeg" />
      </div>
      {fields.logo !== null && (
        <label class="inline">
          <input type="checkbox" name="removeLogo" value="yes" /> Remove the logo
        </label>
      )}
      <label>
        Colour of buttons
        <input type="color" name="accent" value={fields.accent ?? DEFAULT_ACCENT} />
      </label>
      <div class="field">
        <label for="signature">Signature, up to six lines</label>
        <textarea id="signature" class="short" name="signature" rows={3} maxlength={400}>
          {fields.signature ?? ""}
        </textarea>
      </div>
      <div class="field">
        <label for="replyTo">Reply address</label>
        <input id="replyTo" type="email" name="replyTo" value={fields.replyTo ?? ""} maxlength={254} />
      </div>
      <div class="field">
        <label for="postalAddress">Postal address, required in commercial e-mail</label>
        <textarea id="postalAddress" class="short" name="postalAddress" rows={3} maxlength={400}>
          {fields.postalAddress ?? ""}
        </textarea>
      </div>
      {!isLocked && (
        <div class="actions">
          <button class="quiet" type="submit" name="step" value="preview">
            Preview
          </button>
          <button type="submit" name="step" value="save">
            Save
          </button>
        </div>
      )}
    </fieldset>
  </PostForm>
)

/** The colours in force and their contrast: where a colour could not be read, a shade of it is used. */
const Contrasts: FC<{ readonly colours: Branding["colours"] }> = ({ colours }) => (
  <details>
    <summary>Contrast of the saved colour</summary>
    <dl class="facts">
      <dt>Text on buttons</dt>
      <dd>
        <code>{colours.buttonText.colour}</code> on <code>{colours.button}</code>, {colours.buttonText.contrast} : 1
      </dd>
      <dt>Lines on light</dt>
      <dd>
        <code>{colours.onLight.colour}</code>, {colours.onLight.contrast} : 1
      </dd>
      <dt>Lines on dark</dt>
      <dd>
        <code>{colours.onDark.colour}</code>, {colours.onDark.contrast} : 1
      </dd>
    </dl>
  </details>
)

const PREVIEWS = [
  { view: "email", scheme: "light", title: "E-mail, light" },
  { view: "email", scheme: "dark", title: "E-mail, dark" },
  { view: "page", scheme: "light", title: "Member's page, light" },
  { view: "page", scheme: "dark", title: "Member's page, dark" },
] as const

const Previews: FC<{ readonly fields: Fields; readonly text: string }> = ({ fields, text }) => (
  <Panel title="Preview" note="Example data: Ada Example owes US$19.99.">
    <div class="previews">
      {PREVIEWS.map(({ view, scheme, title }) => (
        <figure class={`preview ${view}`}>
          <figcaption>{title}</figcaption>
          <iframe title={title} src={pathWith(`${PATH}/preview/${view}/${scheme}`, queryOf(fields))} />
        </figure>
      ))}
    </div>
    <details>
      <summary>The e-mail as plain text</summary>
      <p class="message">{text}</p>
    </details>
  </Panel>
)

const queryOf = (fields: Fields): Readonly<Record<string, string | undefined>> =>
  Object.fromEntries(Object.entries(fields).map(([name, value]: [string, string | null]) => [name, value ?? undefined]))
