/** A page for a member: a few words, no script, nothing from elsewhere, and nothing left behind in caches or referrers. */
import type { Context } from "hono"
import { html } from "hono/html"
import type { ContentfulStatusCode } from "hono/utils/http-status"
import type { AppEnv } from "../../platform/services.ts"
import { type PageText, type PageTexts, pageTextsFor } from "./i18n.ts"

const STYLE = `body{font:1.05rem/1.6 system-ui,sans-serif;margin:0;background:#f6f7f9;color:#1c2430}
main{max-width:32rem;margin:12vh auto 0;padding:2rem;background:#fff;border-radius:.75rem}
h1{font-size:1.4rem;margin:0 0 .75rem}p{margin:.5rem 0}
button{font:inherit;margin-top:1rem;padding:.6rem 1.4rem;border:0;border-radius:.5rem;background:#1c2430;color:#fff}
@media(prefers-color-scheme:dark){body{background:#12161d;color:#e8ebf0}main{background:#1c2430}button{background:#e8ebf0;color:#12161d}}`

export interface PageContent {
  readonly said: (words: PageTexts) => PageText
  readonly status: ContentfulStatusCode
  /** A button that asks for the same address again, by POST. */
  readonly button?: (words: PageTexts) => string
  /** How to reach support: the company's address, or null when it has given none. Left out: not said. */
  readonly supportEmail?: string | null
  /** Hosts to which the answer to the button may redirect: browsers hold a form to its policy beyond the redirect. */
  readonly formHosts?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
}

/** The page in the reader's language. */
export function page(
  c: Context<AppEnv>,
  { said, status, button, supportEmail, formHosts = [], headers }: PageContent,
): Response | Promise<Response> {
  const words = pageTextsFor(c.req.header("accept-language"))
  const { title, text } = said(words)
  const nonce = c.get("services").newId()
  const support = supportEmail === null ? words.supportUnknown : supportEmail && words.support(supportEmail)
  const body = html`<!doctype html>
<html lang="${words.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
<title>${title}</title>
<style nonce="${nonce}">${STYLE}</style>
</head>
<body>
<main>
<h1>${title}</h1>
<p>${text}</p>
${support === undefined ? "" : html`<p>${support}</p>`}
${button === undefined ? "" : html`<form method="post"><button type="submit">${button(words)}</button></form>`}
</main>
</body>
</html>`
  return c.html(body, status, { ...memberHeaders(nonce, formHosts), ...headers })
}

/** What every answer to a member carries; a style is let in by its nonce. */
export const memberHeaders = (nonce: string | null, formHosts: readonly string[] = []): Record<string, string> => ({
  "cache-control": "no-store",
  "content-security-policy": [
    "default-src 'none'",
    nonce === null ? "style-src 'none'" : `style-src 'nonce-${nonce}'`,
    // `.stripe.com` in our lists is `*.stripe.com` in a policy.
    ["form-action 'self'", ...formHosts.map((host) => `https://${host.startsWith(".") ? "*" : ""}${host}`)].join(" "),
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join("; "),
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
  "x-robots-tag": "noindex, nofollow",
})
