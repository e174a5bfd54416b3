/**
 * A company's own access to providers and channels: what each kind consists of, and what of it may be seen again. Each is
 * stored sealed; only `shownOf` leaves the Worker.
 */
import * as z from "zod"
import { MAILBOX } from "./contact/mailbox.ts"

/** The kinds whose deployment's credentials a company may use where it has none of its own. */
export const SHARED_KINDS = ["stripe", "whop", "sendgrid", "twilio", "slack"] as const
export type SharedKind = (typeof SHARED_KINDS)[number]

/** All kinds; links lead to the deployment's own address unless a company has its own. */
export const CREDENTIAL_KINDS = [...SHARED_KINDS, "link-domain"] as const
export type CredentialKind = (typeof CREDENTIAL_KINDS)[number]

/** Keys of all vendors are longer; this catches blanks and placeholders. */
const KEY_CHARS_MIN = 16
const KEY_CHARS_MAX = 512

const key = (prefix: RegExp, expected: string) =>
  z
    .string()
    .min(KEY_CHARS_MIN, `expected at least ${KEY_CHARS_MIN} characters`)
    .max(KEY_CHARS_MAX, `expected at most ${KEY_CHARS_MAX} characters`)
    .regex(/^[\x21-\x7e]+$/, "expected visible characters without spaces")
    .regex(prefix, `expected ${expected}`)

const mailbox = z.string().max(360).regex(MAILBOX, "expected an e-mail address, or Name <address>")

/** Lower case, at least two labels, no port, no path. */
const domain = z
  .string()
  .max(253)
  .regex(/^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/, "expected a domain such as pay.acme.example")

/** What each kind consists of. */
export const CREDENTIALS = {
  stripe: z.lazy(() => z.strictObject({ apiKey: key(/^[rs]k_/, "a secret or restricted key (sk_…, rk_…)") })),
  whop: z.lazy(() =>
    z.strictObject({
      apiKey: key(/./, "a key"),
      /** The company that the key belongs to. */
      accountId: z.string().regex(/^biz_[A-Za-z0-9]{1,64}$/, "expected biz_ and an id"),
      /** Where push notifications appear; without one there are none. */
      experienceId: z
        .string()
        .regex(/^exp_[A-Za-z0-9]{1,64}$/, "expected exp_ and an id")
        .nullable()
        .default(null),
    }),
  ),
  sendgrid: z.lazy(() =>
    z.strictObject({
      apiKey: key(/^SG\./, "SG. and a key"),
      from: mailbox,
      replyTo: mailbox.nullable().default(null),
    }),
  ),
  twilio: z.lazy(() =>
    z.strictObject({
      accountSid: z.string().regex(/^AC[0-9a-f]{32}$/i, "expected AC and 32 hexadecimal digits"),
      authToken: key(/./, "a token"),
      from: z.string().regex(/^(?:\+[1-9]\d{6,14}|MG[0-9a-f]{32})$/i, "expected an E.164 number or MG…"),
    }),
  ),
  slack: z.lazy(() =>
    z.strictObject({
      webhookUrl: z.url({ protocol: /^https?$/, error: "expected the URL of an incoming webhook" }).max(500),
    }),
  ),
  "link-domain": z.lazy(() => z.strictObject({ domain })),
} as const satisfies Record<CredentialKind, z.ZodType>

/** What a kind consists of. */
export type Credential<Kind extends CredentialKind = CredentialKind> = z.output<(typeof CREDENTIALS)[Kind]>

/** The credentials of one company, by kind; absent where it has none. */
export type Credentials = { readonly [Kind in CredentialKind]?: Credential<Kind> }

/** What is secret in each kind, and shown by its last characters only. */
const SECRET_FIELDS: ReadonlySet<string> = new Set(["apiKey", "authToken", "webhookUrl"])

/** Whether a field of this name is secret. */
export const isSecretField = (name: string): boolean => SECRET_FIELDS.has(name)

const SHOWN_CHARS = 4

/** What may be seen of a credential: accounts and senders as they are, of keys the last four characters. */
export const shownOf = (credential: Credential): Readonly<Record<string, string | null>> =>
  Object.fromEntries(
    Object.entries(credential).map(([name, value]) => [
      name,
      isSecretField(name) && typeof value === "string" ? `…${value.slice(-SHOWN_CHARS)}` : value,
    ]),
  )
