/** The company's settings: names, times, limits and playbooks. */
import { Hono } from "hono"
import type { FC } from "hono/jsx"
import { AppError } from "../../platform/errors.ts"
import type { AnswerOf } from "../../reference/answers/all.ts"
import { act, type DashboardEnv, formOf, frameOf, numberIn, show } from "../page.tsx"
import { Heading, Panel, PostForm } from "../parts/parts.tsx"
import type { Viewer } from "../viewer.ts"

const PATH = "/dashboard/settings"

export const settings = new Hono<DashboardEnv>()
  .get("/", async (c) => {
    const current = await c.get("ask")("GET /api/settings")
    return show(c, "Settings", PATH, <SettingsPage {...frameOf(c)} settings={current} />)
  })
  .post("/", async (c) => {
    const form = await formOf(c)
    return act(c, PATH, async () => {
      const ask = c.get("ask")
      const current = await ask("GET /api/settings")
      if (form.version !== versionOf(current)) {
        throw new AppError("CONFLICT", "Somebody changed the settings in the meantime. Load the page again.", {
          reason: "stale_form",
        })
      }
      await ask("PUT /api/settings", { body: changed(current, form) })
      return "saved"
    })
  })

type Settings = AnswerOf<"GET /api/settings">

/** Tells whether the settings are those that the form was made from. */
const versionOf = (current: Settings): string => JSON.stringify(current)

const orNull = (text = ""): string | null => (text.trim() === "" ? null : text)

/** The current settings with the fields of the form. */
function changed(current: Settings, form: Readonly<Record<string, string>>) {
  const { quietStart = "", quietEnd = "" } = form
  return {
    ...current,
    brandName: orNull(form.brandName),
    supportEmail: orNull(form.supportEmail),
    country: orNull(form.country),
    timeZone: form.timeZone ?? current.timeZone,
    invoiceAgeDaysMax: numberIn(form.invoiceAgeDaysMax),
    quietHours: quietStart === "" && quietEnd === "" ? null : { start: quietStart, end: quietEnd },
    alertTeam: form.alertTeam === "yes",
  }
}

const SettingsPage: FC<{ readonly viewer: Viewer; readonly settings: Settings }> = ({ viewer, settings: current }) => {
  const isLocked = !viewer.can("settings:write")
  return (
    <>
      <Heading title="Settings" lead="What holds for all messages of the company." />
      <Panel title="General">
        <PostForm class="stack">
          <input type="hidden" name="version" value={versionOf(current)} />
          <fieldset class="stack" disabled={isLocked}>
            <label>
              Name in messages
              <input name="brandName" value={current.brandName ?? ""} maxlength={80} />
            </label>
            <label>
              Support address
              <input type="email" name="supportEmail" value={current.supportEmail ?? ""} />
            </label>
            <label>
              Country (two letters)
              <input name="country" value={current.country ?? ""} pattern="[A-Z]{2}" />
            </label>
            <label>
              Time zone
              <input name="timeZone" value={current.timeZone} required />
            </label>
            <label>
              No message for invoices older than (days)
              <input
                type="number"
                name="invoiceAgeDaysMax"
                min="1"
                value={String(current.invoiceAgeDaysMax)}
                required
              />
            </label>
            <div class="filters">
              <label>
                No messages from
                <input type="time" name="quietStart" value={current.quietHours?.start ?? ""} />
              </label>
              <label>
                until, in the member's time
                <input type="time" name="quietEnd" value={current.quietHours?.end ?? ""} />
              </label>
            </div>
            <label class="inline">
              <input type="checkbox" name="alertTeam" value="yes" checked={current.alertTeam} /> Tell the team in Slack
              about new cases
            </label>
            {!isLocked && (
              <div>
                <button type="submit">Save</button>
              </div>
            )}
          </fieldset>
        </PostForm>
      </Panel>
      <Panel title="Playbooks" note="The steps of each kind of case; changed through PUT /api/settings.">
        <pre>{JSON.stringify(current.playbooks, null, 2)}</pre>
      </Panel>
    </>
  )
}
