/**
 * The e-mail as HTML: one column, inline styles, and no text colours of our own except on the button, so that dark mode never
 * shows dark text on a dark background. All input is escaped here and nowhere else.
 */
import { escapeHtml } from "./clean.ts"
import { coloursOf, DEFAULT_ACCENT } from "./colours.ts"
import type { Look } from "./look.ts"

/** The parts of an e-mail, as plain text. */
export interface EmailParts {
  readonly language: string
  readonly subject: string
  readonly preheader: string
  readonly brand: string
  readonly paragraphs: readonly string[]
  readonly button: string
  readonly link: string
  readonly linkHint: string
  readonly footer: string
  readonly unsubscribe: { readonly text: string; readonly url: string } | null
  /** The company's own look; absent or null: it has none. */
  readonly look?: Look | null
}

const FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
const HIDDEN = "display:none;max-height:0;overflow:hidden;opacity:0;mso-hide:all"
const TEXT = `${FONT};font-size:16px;line-height:1.5;margin:0 0 16px`
const SMALL = `${FONT};font-size:13px;line-height:1.5;margin:0 0 8px`
const BUTTON = `${FONT};display:inline-block;padding:12px 20px;border-radius:6px;font-size:16px;font-weight:600;text-decoration:none`

/** A complete HTML document. */
export function emailHtml(parts: EmailParts): string {
  const link = escapeHtml(parts.link)
  const { look = null } = parts
  const colours = look?.colours ?? coloursOf(DEFAULT_ACCENT)
  const paragraphs = parts.paragraphs.map((text) => `<p style="${TEXT}">${escapeHtml(text)}</p>`).join("\n")
  const unsubscribe = parts.unsubscribe
    ? `<p style="${SMALL}"><a href="${escapeHtml(parts.unsubscribe.url)}" style="color:inherit">${escapeHtml(parts.unsubscribe.text)}</a></p>`
    : ""
  const stripe = look?.colours ? `;border-top:4px solid ${colours.accent}` : ""
  const button = `${BUTTON};background-color:${colours.accent};color:${colours.onAccent};border:1px solid ${colours.onLight}`
  return `<!doctype html>
<html lang="${parts.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>${escapeHtml(parts.subject)}</title>
<style>
@media (prefers-color-scheme:dark){.edge{border-color:${colours.onDark} !important}.logo{padding:8px !important}}
</style>
</head>
<body style="margin:0;padding:0">
<div style="${HIDDEN}">${escapeHtml(parts.preheader)}</div>
<div role="article" lang="${parts.language}" aria-label="${escapeHtml(parts.subject)}" style="max-width:560px;margin:0 auto;padding:24px${stripe}">
${headOf(parts.brand, look)}
${paragraphs}
<p style="margin:24px 0"><a href="${link}" class="edge" style="${button}">${escapeHtml(parts.button)}</a></p>
<p style="${SMALL}">${escapeHtml(parts.linkHint)}<br><a href="${link}" style="color:inherit;word-break:break-all">${link}</a></p>
${blockOf(look?.signature ?? [], `${TEXT};margin-top:24px`)}<hr style="border:0;border-top:1px solid #888888;margin:24px 0">
<p style="${SMALL}">${escapeHtml(parts.footer)}</p>
${unsubscribe}
${blockOf(look?.postalAddress ?? [], SMALL)}</div>
</body>
</html>
`
}

/**
 * The company's logo on white, because most logos are made for it and dark mode does not change images; where images are not
 * loaded, the name in its place.
 */
function headOf(brand: string, look: Look | null): string {
  const style = `${FONT};font-size:18px;font-weight:700;margin:0 0 24px`
  if (!look?.logo) return `<p style="${style}">${escapeHtml(brand)}</p>`
  const { url, width, height } = look.logo
  const image = `<img src="${escapeHtml(url)}" width="${width}" height="${height}" alt="${escapeHtml(brand)}" style="display:block;border:0;color:#000000">`
  return `<p style="${style}"><span class="logo" style="display:inline-block;border-radius:6px;background-color:#ffffff">${image}</span></p>`
}

/** Lines as one paragraph; nothing where there are none. */
const blockOf = (lines: readonly string[], style: string): string =>
  lines.length === 0 ? "" : `<p style="${style}">${lines.map(escapeHtml).join("<br>")}</p>\n`
