/** Senders of e-mail as people write them: an address, or `Name <address>`. */
import { normalizeEmail } from "./address.ts"

/** A sender as SendGrid's API takes it. */
export interface Mailbox {
  readonly email: string
  readonly name?: string
}

/** The form, without what makes an address one. */
export const MAILBOX = /^(?:[^<>@,\p{Cc}]{1,100}<[^\s<>@,]+@[^\s<>@,]+>|[^\s<>@,]+@[^\s<>@,]+)$/u

/** The sender that a text names; null when no message can be sent from it. */
export function parseMailbox(text: string): Mailbox | null {
  if (!MAILBOX.test(text)) return null
  const [name = "", address = ""] = text.endsWith(">") ? text.slice(0, -1).split("<") : ["", text]
  const email = normalizeEmail(address)
  if (email === null) return null
  const shown = name.trim().replaceAll(/^"|"$/g, "")
  return shown === "" ? { email } : { email, name: shown }
}
