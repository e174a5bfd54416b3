/** A page for a member: short text, no script, no external resources, no caching and no referrer. */
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
  readonly content: (texts: PageTexts) => PageText
  readonly status: ContentfulStatusCode
  /** A button that sends POST to the same address. */
  readonly button?: (texts: PageTexts) => string
  /** The company's support address; null when it has none. Absent: support is not mentioned. */
  readonly supportEmail?: string | null
  /** Hosts to which the response to the button may redirect: browsers apply `form-action` to redirects too. */
  readonly formHosts?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
}

/** The page in the reader's language. */
export function page(
  c: Context<AppEnv>,
  { content, status, button, supportEmail, formHosts = [], headers }: PageContent,
): Response | Promise<Response> {
  const texts = pageTextsFor(c.req.header("accept-language"))
  const { title, text } = content(texts)
  const nonce = c.get("services").newId()
  const support = supportEmail === null ? texts.supportUnknown : supportEmail && texts.support(supportEmail)
  const body = html`<!doctype html>
<html lang="${texts.language}">
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
${button === undefined ? "" : html`<form method="post"><button type="submit">${button(texts)}</button></form>`}
</main>
</body>
</html>`
  return c.html(body, status, { ...memberHeaders(nonce, formHosts), ...headers })
}

/** The headers of every response to a member; the inline style is allowed by its nonce. */
export const memberHeaders = (nonce: string | null, formHosts: readonly string[] = []): Record<string, string> => ({
  "cache-control": "no-store",
  "content-security-policy": [
    "default-src 'none'",
    nonce === null ? "style-src 'none'" : `style-src 'nonce-${nonce}'`,
    // `.stripe.com` in our lists is `*.stripe.com` in a content security policy.
    ["form-action 'self'", ...formHosts.map((host) => `https://${host.startsWith(".") ? "*" : ""}${host}`)].join(" "),
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join("; "),
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
  "x-robots-tag": "noindex, nofollow",
})
