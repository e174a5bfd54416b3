/**
 * The e-mail as HTML: one column, inline styles, and no text colours of our own, so that dark mode never shows dark text on
 * a dark background. All input is escaped here and nowhere else.
 */
import { escapeHtml } from "./clean.ts"

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
}

const FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
const HIDDEN = "display:none;max-height:0;overflow:hidden;opacity:0;mso-hide:all"
const BUTTON = `${FONT};display:inline-block;padding:12px 20px;border-radius:6px;background-color:#1f5fd6;color:#ffffff;font-size:16px;font-weight:600;text-decoration:none`
const SMALL = `${FONT};font-size:13px;line-height:1.5;margin:0 0 8px`

/** A complete HTML document. */
export function emailHtml(parts: EmailParts): string {
  const link = escapeHtml(parts.link)
  const paragraphs = parts.paragraphs
    .map((text) => `<p style="${FONT};font-size:16px;line-height:1.5;margin:0 0 16px">${escapeHtml(text)}</p>`)
    .join("\n")
  const unsubscribe = parts.unsubscribe
    ? `<p style="${SMALL}"><a href="${escapeHtml(parts.unsubscribe.url)}" style="color:inherit">${escapeHtml(parts.unsubscribe.text)}</a></p>`
    : ""
  return `<!doctype html>
<html lang="${parts.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>${escapeHtml(parts.subject)}</title>
</head>
<body style="margin:0;padding:0">
<div style="${HIDDEN}">${escapeHtml(parts.preheader)}</div>
<div role="article" lang="${parts.language}" aria-label="${escapeHtml(parts.subject)}" style="max-width:560px;margin:0 auto;padding:24px">
<p style="${FONT};font-size:18px;font-weight:700;margin:0 0 24px">${escapeHtml(parts.brand)}</p>
${paragraphs}
<p style="margin:24px 0"><a href="${link}" style="${BUTTON}">${escapeHtml(parts.button)}</a></p>
<p style="${SMALL}">${escapeHtml(parts.linkHint)}<br><a href="${link}" style="color:inherit;word-break:break-all">${link}</a></p>
<hr style="border:0;border-top:1px solid #888888;margin:24px 0">
<p style="${SMALL}">${escapeHtml(parts.footer)}</p>
${unsubscribe}
</div>
</body>
</html>
`
}
