/** The dashboard as a browser without scripts uses it. */
import { world } from "../world/world.ts"

export interface PageAnswer {
  readonly status: number
  readonly headers: Headers
  readonly html: string
}

/** A browser: keeps cookies and follows redirects. */
export interface Visitor {
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<PageAnswer>
  post(
    path: string,
    fields?: Readonly<Record<string, string>> | URLSearchParams | FormData,
    headers?: Readonly<Record<string, string>>,
  ): Promise<PageAnswer>
  /** The cookies, as a request has them. */
  cookie(): string
  /** Forgets the session, as a browser does when it has ended. */
  forget(): void
}

const REDIRECTS_MAX = 5

/** A visitor who is not signed in. */
export function visitor(): Visitor {
  const cookies = new Map<string, string>()
  const origin = world().workerUrl

  const cookieHeader = () => [...cookies].map(([name, value]) => `${name}=${value}`).join("; ")

  async function go(path: string, init: RequestInit, redirects = 0): Promise<PageAnswer> {
    const cookie = cookieHeader()
    const response = await fetch(new URL(path, origin), {
      ...init,
      redirect: "manual",
      headers: { ...(cookie !== "" && { cookie }), ...init.headers },
    })
    for (const line of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (/Max-Age=0/i.test(line)) cookies.delete(name)
      else cookies.set(name, value)
    }
    const location = response.headers.get("location")
    if (location !== null && redirects < REDIRECTS_MAX) return go(location, {}, redirects + 1)
    return { status: response.status, headers: response.headers, html: await response.text() }
  }

  return {
    get: (path, headers = {}) => go(path, { headers }),
    post: (path, fields = {}, headers = {}) =>
      go(path, {
        method: "POST",
        body: fields instanceof FormData ? fields : new URLSearchParams(fields as Record<string, string>),
        headers: { origin, "sec-fetch-site": "same-origin", ...headers },
      }),
    cookie: cookieHeader,
    forget: () => cookies.clear(),
  }
}

/** A visitor who is signed in with an API key. */
export async function signedInWith(key: string): Promise<Visitor> {
  const someone = visitor()
  const { html } = await someone.post("/dashboard/sign-in/key", { key, next: "/dashboard" })
  if (!html.includes("Sign out")) throw new Error("not signed in")
  return someone
}

/** The value of the first hidden field of this name, as it is written in the page; empty when there is none. */
export const hiddenField = (html: string, name: string): string =>
  new RegExp(`name="${name}" value="([^"]*)"`).exec(html)?.[1] ?? ""

/** The text of an attribute. */
export const decoded = (attribute: string): string =>
  attribute
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&")
