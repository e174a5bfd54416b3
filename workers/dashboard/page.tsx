/** What every page of the dashboard uses: its environment, the answer with the frame around it, and forms. */
import type { Context } from "hono"
import { html } from "hono/html"
import type { Child } from "hono/jsx"
import type { ContentfulStatusCode } from "hono/utils/http-status"
import { AppError } from "../platform/errors.ts"
import type { AppEnv } from "../platform/services.ts"
import type { ApiClient } from "./api-client.ts"
import { type Notice, Page } from "./layout.tsx"
import { COMPANY_FIELD } from "./parts/parts.tsx"
import type { Viewer } from "./viewer.ts"

export interface DashboardEnv {
  Bindings: AppEnv["Bindings"]
  Variables: AppEnv["Variables"] & {
    readonly viewer: Viewer
    /** The API in the viewer's name. */
    readonly ask: ApiClient
  }
}

export type DashboardContext = Context<DashboardEnv>

/** Rows of a list on one page. */
export const ROWS = 50

/** Results of actions, by the word that the redirect carries: a link cannot put other words into a page. */
const RESULTS = {
  sent: "The message is being sent.",
  closed: "The case is closed.",
  replayed: "The event was processed again.",
  queued: "The events are queued to be processed again.",
  released: "The quarantine has ended. Messages are sent again.",
  retried: "The dead letter was retried. If it fails again, it is listed here.",
  run: "The job has run.",
  paused: "The job is paused.",
  resumed: "The job is resumed.",
  freed: "The stuck run has ended.",
  set: "The flag is set. It takes effect everywhere within ten seconds.",
  saved: "Saved.",
  deleted: "Deleted.",
  begun: "The comparison has started. Cases that open from now on take part.",
  ended: "The comparison has ended.",
  checked: "The credential was checked. The result is below.",
  promoted: "The model is champion now.",
  kept: "The model did not pass its gates, and the champion stays.",
  changed: "The model was changed.",
  started: "The import has started.",
  imported: "The next page was imported.",
  compared: "The comparison has run.",
  companyClosed: "The company is closed.",
  companyOpened: "The company is open again.",
  secretAdded: "The secret is added. Earlier ones stay valid for the hours that you chose.",
  secretEnded: "The secret has ended.",
  testSent: "The test message is being sent to your address.",
  invited: "The invitation is being sent.",
  removed: "The person was removed, and all sessions have ended.",
  revoked: "The key was revoked, and its sessions have ended.",
} as const satisfies Record<string, string>

export type Result = keyof typeof RESULTS

const resultOf = (word: string | undefined): Notice | null =>
  word !== undefined && Object.hasOwn(RESULTS, word) ? { kind: "done", text: RESULTS[word as Result] } : null

/** The viewer and the current time, which most pages need. */
export const frameOf = (c: DashboardContext) => ({ viewer: c.get("viewer"), now: c.get("services").now() })

/** A page with the navigation around it. `at` is the path of its entry there. */
export const show = (c: DashboardContext, title: string, at: string, children: Child) =>
  render(c, 200, { title, at, viewer: c.get("viewer"), children, notice: resultOf(c.req.query("done")) })

/** The same with regions that show changes: the only pages with a script, which is ours and reads from here only. */
export function showLive(c: DashboardContext, title: string, at: string, children: Child) {
  c.header("content-security-policy", contentSecurityPolicy(["script-src 'self'", "connect-src 'self'"]))
  const notice = resultOf(c.req.query("done"))
  return render(c, 200, { title, at, viewer: c.get("viewer"), children, notice, isLive: true })
}

/** Nothing inline and nothing from elsewhere; scripts and connections only where a page adds them. */
export const contentSecurityPolicy = (more: readonly string[] = []): string =>
  [
    "default-src 'none'",
    "style-src 'self'",
    "img-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    ...more,
  ].join("; ")

export const render = (
  c: Context,
  status: ContentfulStatusCode,
  page: {
    readonly title: string
    readonly viewer?: Viewer
    readonly at?: string
    readonly notice?: Notice | null
    readonly isLive?: boolean
    readonly children: Child
  },
) => c.html(html`<!doctype html>${<Page {...page} />}`, status)

/** The query of a list without the word of the last action; a repeated name has its first value. */
export function listQuery(c: DashboardContext): Readonly<Record<string, string>> {
  const { done: _, ...query } = c.req.query()
  return query
}

/** Does something, and goes back to `path` with its result. What the API refuses is shown by the error page. */
export async function act(c: DashboardContext, path: string, perform: () => Promise<Result>): Promise<Response> {
  const done = await perform()
  return c.redirect(`${path}${path.includes("?") ? "&" : "?"}done=${done}`, 303)
}

/** Our largest form is that of fifty cases; a body of many short fields would make a page of a megabyte. */
const FIELDS_MAX = 200

/** The form in a request. Throws for a body that is no form of ours, which anybody can send. */
export async function formData(c: Context): Promise<FormData> {
  const types = c.req.path === UPLOAD_PATH ? UPLOAD_TYPE : FORM_TYPE
  if (!types.test(c.req.header("content-type") ?? "")) {
    throw new AppError("UNSUPPORTED_MEDIA_TYPE", "The body must be a form.")
  }
  const form = await c.req.formData()
  if ([...form.keys()].length > FIELDS_MAX) {
    throw new AppError("PAYLOAD_TOO_LARGE", `The form has more than ${FIELDS_MAX} fields.`)
  }
  return form
}

const FORM_TYPE = /^application\/x-www-form-urlencoded[ \t]*(?:;|$)/i

/** The only page with a form that has a file. */
export const UPLOAD_PATH = "/dashboard/branding"
const UPLOAD_TYPE = /^(?:application\/x-www-form-urlencoded|multipart\/form-data)[ \t]*(?:;|$)/i

/** The fields of a form; of a repeated one the last. The company of its page is checked before, and is not among them. */
export async function formOf(c: DashboardContext): Promise<Readonly<Record<string, string>>> {
  const { [COMPANY_FIELD]: _, ...fields } = Object.fromEntries(await formData(c))
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, String(value)]))
}

/** The number in a field; null for an empty or missing one, which must not count as 0. */
export const numberIn = (text: string | undefined): number | null =>
  text === undefined || text.trim() === "" ? null : Number(text)
