/** A page for a member: short text, no script, nothing from elsewhere, no caching and no referrer. */
import type { Context } from "hono"
import { html, raw } from "hono/html"
import type { ContentfulStatusCode } from "hono/utils/http-status"
import type { Look } from "../../../shared/domain/messaging/messages/look.ts"
import type { AppEnv } from "../../platform/services.ts"
import { type PageText, type PageTexts, pageTextsFor } from "./i18n.ts"

/** Each colour also without `light-dark()`, for browsers from before 2024. */
const STYLE = `:root{color-scheme:light dark}
body{font:1.05rem/1.6 system-ui,sans-serif;margin:0;padding:0 1rem;background:#f6f7f9;background:light-dark(#f6f7f9,#12161d);color:#1c2430;color:light-dark(#1c2430,#e8ebf0)}
main{max-width:32rem;margin:12vh auto 0;padding:2rem;border-radius:.75rem;background:#fff;background:light-dark(#fff,#1c2430);box-sizing:border-box}
h1{font-size:1.4rem;line-height:1.3;margin:0 0 .75rem}p{margin:.5rem 0}
.brand{font-weight:700;margin:0 0 1.5rem}
.logo{display:inline-block;background:#fff;border-radius:.4rem;margin:0 0 1.5rem}.logo img{display:block;max-width:100%;height:auto;color:#000}
@media (prefers-color-scheme:dark){.logo{padding:.5rem}}
.address{font-size:.85rem;margin-top:1.5rem;opacity:.85}
button{font:inherit;margin-top:1rem;padding:.6rem 1.4rem;border:1px solid transparent;border-radius:.5rem;cursor:pointer;background:#1c2430;color:#fff;background:light-dark(#1c2430,#e8ebf0);color:light-dark(#fff,#12161d)}`

/** The company's own colour on the button and above the page. The values are colours of ours (shared/domain/messaging/messages/colours.ts). */
function styleOf(look: Look | null): string {
  if (!look?.colours) return STYLE
  const { accent, onAccent, onLight, onDark } = look.colours
  return `${STYLE}
main{border-top:4px solid ${accent}}
button{background:${accent};color:${onAccent};border-color:${onLight};border-color:light-dark(${onLight},${onDark})}`
}

/** The company of a page: its name, and its look if it has chosen one. */
export interface PageCompany {
  readonly brandName: string
  readonly look: Look | null
}

export interface PageContent {
  readonly content: (texts: PageTexts) => PageText
  readonly status: ContentfulStatusCode
  /** Whose page it is; absent or null: not known, or not needed. */
  readonly company?: PageCompany | null
  /** A button that sends POST to the same address. */
  readonly button?: (texts: PageTexts) => string
  /** The company's support address; null when it has none. Absent: support is not mentioned. */
  readonly supportEmail?: string | null
  /** Hosts to which the response to the button may redirect: browsers apply `form-action` to redirects too. */
  readonly formHosts?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
}

/** The page in the reader's language. */
export function page(c: Context<AppEnv>, content: PageContent): Response | Promise<Response> {
  const { status, formHosts = [], headers } = content
  const nonce = c.get("services").newId()
  const body = pageHtml(pageTextsFor(c.req.header("accept-language")), content, nonce)
  return c.html(body, status, { ...memberHeaders(nonce, formHosts), ...headers })
}

/** The document; its style is allowed by the nonce. */
export function pageHtml(
  texts: PageTexts,
  { content, company = null, button, supportEmail }: Omit<PageContent, "status" | "formHosts" | "headers">,
  nonce: string,
) {
  const { title, text } = content(texts)
  const look = company?.look ?? null
  const support = supportEmail === null ? texts.supportUnknown : supportEmail && texts.support(supportEmail)
  const address = look?.postalAddress ?? []
  return html`<!doctype html>
<html lang="${texts.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style nonce="${nonce}">${raw(styleOf(look))}</style>
</head>
<body>
<main>
${company === null ? "" : headOf(company)}
<h1>${title}</h1>
<p>${text}</p>
${support === undefined ? "" : html`<p>${support}</p>`}
${button === undefined ? "" : html`<form method="post"><button type="submit">${button(texts)}</button></form>`}
${address.length === 0 ? "" : html`<p class="address">${address.map((line) => html`${line}<br>`)}</p>`}
</main>
</body>
</html>`
}

/** The logo on white, as in e-mails, else the name. */
function headOf({ brandName, look }: PageCompany) {
  if (!look?.logo) return html`<p class="brand">${brandName}</p>`
  const { url, width, height } = look.logo
  return html`<p class="logo"><img src="${url}" width="${width}" height="${height}" alt="${brandName}"></p>`
}

/** The headers of every response to a member; the inline style is allowed by its nonce. */
export const memberHeaders = (nonce: string | null, formHosts: readonly string[] = []): Record<string, string> => ({
  "cache-control": "no-store",
  "content-security-policy": [
    "default-src 'none'",
    nonce === null ? "style-src 'none'" : `style-src 'nonce-${nonce}'`,
    "img-src 'self'",
    // `.stripe.com` in our lists is `*.stripe.com` in a content security policy.
    ["form-action 'self'", ...formHosts.map((host) => `https://${host.startsWith(".") ? "*" : ""}${host}`)].join(" "),
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join("; "),
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
  "x-robots-tag": "noindex, nofollow",
})
