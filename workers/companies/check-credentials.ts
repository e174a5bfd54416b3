/**
 * Checks a credential at its own service, by a read that changes nothing. What cannot be checked without an effect (a post to
 * Slack) or from here (whether a domain leads to this deployment) has no result.
 */
import * as z from "zod"
import type { Credential, CredentialKind } from "../../shared/credentials.ts"
import { utf8 } from "../../shared/crypto/bytes.ts"
import type { Target } from "../platform/outbound/policy.ts"
import type { Services } from "../platform/services.ts"

/**
 * `ok`; `refused`: the key is wrong or ended; `not_permitted`: it may not read what the check reads, and may work all the same;
 * `other_account`: it belongs to another account than stated; `domain_not_authenticated`: SendGrid has not authenticated the
 * sender's domain; `unavailable`: no answer, so nothing is known. Null: it cannot be checked.
 */
export const CHECK_RESULTS = [
  "ok",
  "refused",
  "not_permitted",
  "other_account",
  "domain_not_authenticated",
  "unavailable",
] as const
export type CheckResult = (typeof CHECK_RESULTS)[number]

/** A credential of any kind, with its kind. */
export type AnyCredential = {
  readonly [Kind in CredentialKind]: { readonly kind: Kind; readonly value: Credential<Kind> }
}[CredentialKind]

/** Asks the credential's service. Never throws for an answer or the lack of one. */
export async function checkCredential(
  services: Services,
  companyId: string,
  { kind, value }: AnyCredential,
): Promise<CheckResult | null> {
  const { channels, providers } = services.config
  const ask = (target: Target, url: string, authorization: string) =>
    read(services, companyId, { target, url, authorization })
  switch (kind) {
    case "stripe": {
      const answer = await ask("stripe-api", `${providers.stripe.apiUrl}/v1/account`, `Bearer ${value.apiKey}`)
      return resultOf(answer, () => "ok")
    }
    case "whop": {
      const url = `${providers.whop.apiUrl}/companies/${value.accountId}`
      const isIt = z.object({ id: z.literal(value.accountId) })
      return resultOf(await ask("whop-api", url, `Bearer ${value.apiKey}`), (body) =>
        isIt.safeParse(body).success ? "ok" : "other_account",
      )
    }
    case "sendgrid": {
      const url = `${channels.sendgrid.apiUrl}/v3/whitelabel/domains?limit=${DOMAINS_MAX}`
      return resultOf(await ask("email", url, `Bearer ${value.apiKey}`), (body) => senderResult(body, value.from))
    }
    case "twilio": {
      const url = `${channels.twilio.apiUrl}/2010-04-01/Accounts/${value.accountSid}.json`
      const isActive = z.object({ sid: z.literal(value.accountSid), status: z.literal("active") })
      const authorization = `Basic ${btoa(`${value.accountSid}:${value.authToken}`)}`
      return resultOf(await ask("sms", url, authorization), (body) =>
        isActive.safeParse(body).success ? "ok" : "refused",
      )
    }
    case "slack":
    case "link-domain":
      return null
  }
}

/** A company sends from a few domains. */
const DOMAINS_MAX = 50

const domains = z.array(z.object({ domain: z.string(), valid: z.boolean() }))

/** docs.sendgrid.com/api-reference/domain-authentication: a domain covers senders of exactly that domain. */
function senderResult(body: unknown, from: string): CheckResult {
  const domain = from
    .replace(/>?\s*$/, "")
    .split("@")
    .at(-1)
    ?.toLowerCase()
  const listed = domains.safeParse(body)
  const isAuthenticated = listed.data?.some((each) => each.valid && each.domain.toLowerCase() === domain) ?? false
  return isAuthenticated ? "ok" : "domain_not_authenticated"
}

/** Accounts and lists of domains are small. */
const BODY_BYTES_MAX = 256 * 1_024
/** An admin is waiting. */
const TIMEOUT_MS = 5_000

type Answer = { readonly status: number; readonly body: unknown } | null

/** One GET; null when there is no answer that can be read. */
async function read(
  { outbound }: Services,
  companyId: string,
  { target, url, authorization }: { readonly target: Target; readonly url: string; readonly authorization: string },
): Promise<Answer> {
  try {
    const response = await outbound.fetchFor(target, { companyId })(url, {
      headers: { authorization, accept: "application/json" },
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    const text = await response.text()
    const isReadable = utf8(text).length <= BODY_BYTES_MAX
    return { status: response.status, body: isReadable ? parseJson(text) : null }
  } catch {
    return null
  }
}

function resultOf(answer: Answer, judge: (body: unknown) => CheckResult): CheckResult {
  if (answer === null || answer.status === 429 || answer.status >= 500) return "unavailable"
  if (answer.status === 403) return "not_permitted"
  return answer.status === 200 ? judge(answer.body) : "refused"
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
