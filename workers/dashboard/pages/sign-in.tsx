/** Signing in, by a key, by a link to one's address or through Cloudflare Access, and signing out. */
import { type Context, Hono } from "hono"
import { raw } from "hono/html"
import type { FC } from "hono/jsx"
import { isSecretField } from "../../../shared/credentials.ts"
import { type NewSession, revokeSession } from "../../companies/sessions.ts"
import { requestSignInLink, signInWithAccess, signInWithKey, signInWithLink } from "../../companies/sign-in.ts"
import { AppError } from "../../platform/errors.ts"
import { type DashboardEnv, formData, formOf, render } from "../page.tsx"
import { forgetSession, keepSession, sessionToken } from "../session.ts"

const PATH = "/dashboard/sign-in"

export const signIn = new Hono<DashboardEnv>()
  .get("/", async (c) => {
    const next = pathIn(c.req.query("next"))
    if (c.req.header("cf-access-jwt-assertion") !== undefined) {
      return enter(c, next, () => signInWithAccess(c.get("services"), c.req.raw.headers))
    }
    return signInPage(c, 200, { next, refusal: null })
  })
  .post("/key", async (c) => {
    const { key = "", next } = await formOf(c)
    return enter(c, pathIn(next), () => signInWithKey(c.get("services"), c.req.raw.headers, key.trim()))
  })
  .post("/link", async (c) => {
    const { email = "" } = await formOf(c)
    await requestSignInLink(c.get("services"), c.req.raw.headers, email)
    return render(c, 200, {
      title: "Check your email",
      children: (
        <>
          <h1>Check your email</h1>
          <p>If the address has been invited, a sign-in link was sent. It can be used once, within 15 minutes.</p>
        </>
      ),
    })
  })
  // Programs that check mail open links; they do not press buttons.
  .get("/:token", (c) =>
    render(c, 200, {
      title: "Sign in",
      children: (
        <>
          <h1>Sign in</h1>
          <form method="post">
            <button type="submit">Continue to the dashboard</button>
          </form>
        </>
      ),
    }),
  )
  .post("/:token", (c) =>
    enter(c, "/dashboard", () => signInWithLink(c.get("services"), c.req.raw.headers, c.req.param("token"))),
  )

export const signOut = new Hono<DashboardEnv>().post("/", async (c) => {
  const token = sessionToken(c)
  if (token !== null) await revokeSession(c.get("services"), token)
  forgetSession(c)
  return c.redirect(PATH, 303)
})

/** A page of the dashboard to go to; anything else is its first page. */
const pathIn = (text: string | undefined): string =>
  text !== undefined && /^\/dashboard(?:[/?][\w\-./?=&%~+:]*)?$/.test(text) && !text.includes("//") && staysHere(text)
    ? text
    : "/dashboard"

/** Browsers resolve dots, written out or encoded, before they ask. */
const staysHere = (path: string): boolean => /^\/dashboard(?:\/|$)/.test(new URL(path, "https://here.invalid").pathname)

/** Signs in and goes on to `next`; a refusal is shown on the sign-in page. */
async function enter(c: Context<DashboardEnv>, next: string, attempt: () => Promise<NewSession>): Promise<Response> {
  try {
    keepSession(c, await attempt())
    return c.redirect(next, 303)
  } catch (error) {
    if (!(error instanceof AppError) || error.code === "UNAVAILABLE") throw error
    return signInPage(c, error.code === "TOO_MANY_REQUESTS" ? 429 : 401, { next, refusal: error.message })
  }
}

interface SignInProps {
  readonly next: string
  readonly refusal: string | null
}

const signInPage = (c: Context<DashboardEnv>, status: 200 | 401 | 429, { next, refusal }: SignInProps) =>
  render(c, status, {
    title: "Sign in",
    notice: refusal === null ? null : { kind: "refused", text: refusal },
    children: <SignInPage next={next} />,
  })

const SignInPage: FC<{ readonly next: string }> = ({ next }) => (
  <div class="stack">
    <h1>Sign in to Churn Saver</h1>
    <form class="stack" method="post" action={`${PATH}/link`}>
      <label>
        Your e-mail address
        <input type="email" name="email" required autocomplete="email" />
      </label>
      <div>
        <button type="submit">Send me a link</button>
      </div>
    </form>
    <hr />
    <form class="stack" method="post" action={`${PATH}/key`}>
      <input type="hidden" name="next" value={next} />
      <label>
        Or an API key
        <input type="password" name="key" required autocomplete="off" />
      </label>
      <div>
        <button class="quiet" type="submit">
          Sign in with the key
        </button>
      </div>
    </form>
  </div>
)

/**
 * The answer where nobody is signed in. A browser that comes from another site (a link in Slack or in a mail) has not sent
 * its cookie yet, so it comes again from here. A form that was sent with an ended session is kept, to be sent again.
 */
export async function withoutSession(c: Context<DashboardEnv>): Promise<Response> {
  const url = new URL(c.req.url)
  const here = pathIn(`${url.pathname}${url.search}`)
  if (c.req.method !== "GET" && c.req.method !== "HEAD") return keptForm(c, await formData(c))
  if (c.req.header("sec-fetch-site") === "cross-site") {
    // A refresh by the page itself is of the same site, so this happens once.
    return c.html(raw(`<!doctype html><meta http-equiv="refresh" content="0"><title>Churn Saver</title>`))
  }
  return c.redirect(`${PATH}?next=${encodeURIComponent(here)}`, 303)
}

const keptForm = (c: Context<DashboardEnv>, form: FormData) =>
  render(c, 401, {
    title: "Your session has ended",
    notice: {
      kind: "refused",
      text: "Your session has ended. Nothing was changed, and what you entered is kept below.",
    },
    children: (
      <div class="stack">
        <p>
          <a href={PATH} target="_blank" rel="noopener">
            Sign in in another tab
          </a>
          , then send the form again here.
        </p>
        <form class="stack" method="post" action={c.req.path}>
          {[...form].map(([name, value]) =>
            isSecretField(name) ? (
              <label>
                {name}, which is not kept: enter it again
                <input type="password" name={name} autocomplete="off" required />
              </label>
            ) : (
              <input type="hidden" name={name} value={String(value)} />
            ),
          )}
          <div>
            <button type="submit">Send it again</button>
          </div>
        </form>
      </div>
    ),
  })
