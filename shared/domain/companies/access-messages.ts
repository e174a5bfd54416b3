/** E-mails to the people of a company: an invitation, and the link to sign in. English, like the dashboard. */
import { brandOf, webLink } from "../messaging/messages/clean.ts"
import { emailHtml } from "../messaging/messages/email-html.ts"
import type { Rendered } from "../messaging/messages.ts"

/** Our own name, where a company's name has nothing readable. */
const PRODUCT = "Churn Saver"

/** The invitation. It has no secret: whoever has the address asks for a link at `signInUrl`. */
export function renderInvitation({
  companyName,
  signInUrl,
}: {
  readonly companyName: string
  readonly signInUrl: string
}): Rendered {
  const company = brandOf(companyName) || PRODUCT
  return render({
    subject: `You are invited to the dashboard of ${company}`,
    paragraphs: [
      `You may now sign in to the Churn Saver dashboard of ${company}.`,
      "Enter this e-mail address on the sign-in page, and a link is sent to it.",
    ],
    button: "Open the sign-in page",
    link: signInUrl,
    footer: "You get this message because an administrator of the company entered your address.",
  })
}

/** The message with a one-time link. */
export function renderSignInLink({
  companyName,
  link,
  validMinutes,
}: {
  readonly companyName: string
  readonly link: string
  readonly validMinutes: number
}): Rendered {
  const company = brandOf(companyName) || PRODUCT
  return render({
    subject: `Sign in to ${company}`,
    paragraphs: [
      `This link signs you in to the Churn Saver dashboard of ${company}. It works once, for ${validMinutes} minutes.`,
    ],
    button: "Sign in",
    link,
    footer: "If you did not request it, ignore this message. Signing in is not possible without the link.",
  })
}

interface Parts {
  readonly subject: string
  readonly paragraphs: readonly [string, ...string[]]
  readonly button: string
  readonly link: string
  readonly footer: string
}

function render({ subject, paragraphs, button, link, footer }: Parts): Rendered {
  const url = webLink(link)
  return {
    subject,
    text: [...paragraphs, `${button}: ${url}`, footer].join("\n\n"),
    html: emailHtml({
      ...{ language: "en", subject, brand: PRODUCT, paragraphs, button, link: url, footer, unsubscribe: null },
      preheader: paragraphs[0],
      linkHint: "If the button does not work, open this address:",
    }),
  }
}
