/**
 * Signing in to the dashboard: by an API key, by a one-time link to a person's address, or through Cloudflare Access. Each
 * ends in a session. Whether an address is known is never shown: a link is asked for and sent after the answer.
 */

import { readCompany } from "../../db/queries/companies/companies.ts"
import {
  addAddressIndexes,
  addSignInLink,
  findPeople,
  markSignIn,
  readPerson,
  useSignInLink,
} from "../../db/queries/companies/people.ts"
import { toHex } from "../../shared/crypto/bytes.ts"
import { renderSignInLink } from "../../shared/domain/companies/access-messages.ts"
import { AppError } from "../platform/errors.ts"
import { companyRole, countingFailures, identify } from "../platform/http/auth.ts"
import { limitSignInRequests } from "../platform/limits/clients.ts"
import type { Services } from "../platform/services.ts"
import { verifyAccessToken } from "./cloudflare-access.ts"
import { addressOf, indexesOf } from "./people.ts"
import { hashOf, newToken, tokenCompany } from "./random-token.ts"
import { createSession, type NewSession, personKeyId, recordAccess } from "./sessions.ts"

/** Long enough for an e-mail to arrive; a link found later in a mailbox cannot be used. */
const LINK_MINUTES = 15
const MINUTE_MS = 60_000

/** Links that can be requested for one person in an hour, so that mailboxes are not flooded. */
const LINKS_PER_HOUR = 5
const HOUR_MS = 3_600_000

/** One address may belong to people of several companies; each gets a link of its own. */
const COMPANIES_MAX = 10

/** Where the dashboard shows the button that uses a link; the token follows. Opening it uses nothing: mail scanners do. */
export const SIGN_IN_PATH = "/dashboard/sign-in"

/** Signs in with an API key. Throws UNAUTHENTICATED for an unknown one, FORBIDDEN when its company is closed. */
export async function signInWithKey(services: Services, headers: Headers, key: string): Promise<NewSession> {
  const attempt = () => identify(services, key, { companyId: null, isCompanyNeeded: false })
  const principal = await loggingFailures(services, "key", () => countingFailures(services, headers, attempt))
  return createSession(services, principal, "key")
}

/**
 * Sends a link to the address, if it is a person's, after the answer. Throws TOO_MANY_REQUESTS for a client that asks too
 * often; nothing else shows.
 */
export async function requestSignInLink(services: Services, headers: Headers, email: string): Promise<void> {
  await limitSignInRequests(services, headers)
  services.waitUntil(
    sendLinks(services, email).catch((error: unknown) => services.log.error("sign_in_link_failed", { error })),
  )
}

async function sendLinks(services: Services, email: string): Promise<void> {
  const { config, db, log } = services
  const indexes = await indexesOf(config.keys.encryption, email)
  const found = indexes.length === 0 ? [] : await findPeople(db, indexes)
  if (found.length === 0) log.info("sign_in_failed", { source: "link", reason: "address_unknown" })
  for (const { companyId, personId } of found.slice(0, COMPANIES_MAX)) {
    await sendLink(services, companyId, personId)
  }
}

async function sendLink(services: Services, companyId: string, personId: string): Promise<void> {
  const { channels, config, db, log, now } = services
  const [person, company] = await Promise.all([readPerson(db, companyId, personId), readCompany(db, companyId)])
  // To the address as it was invited: another spelling with the same index could be somebody else's mailbox.
  const to = person && (await addressOf(config.keys.encryption, person))
  if (!to || company === null) return
  const indexes = await indexesOf(config.keys.encryption, to)
  if (indexes.length > 1) await addAddressIndexes(db, companyId, personId, indexes)

  const createdAt = now()
  const token = newToken(companyId)
  const hash = await hashOf(token)
  const expiresAt = new Date(createdAt.getTime() + LINK_MINUTES * MINUTE_MS)
  const limits = { linksMax: LINKS_PER_HOUR, forgetBefore: new Date(createdAt.getTime() - HOUR_MS) }
  const who = personKeyId(personId)
  if (!(await addSignInLink(db, { companyId, personId, hash, createdAt, expiresAt }, limits))) {
    log.warn("sign_in_failed", { companyId, keyId: who, source: "link", reason: "too_many_links" })
    return
  }
  const link = `${config.appUrl}${SIGN_IN_PATH}/${token}`
  const message = renderSignInLink({ companyName: company.name, link, validMinutes: LINK_MINUTES })
  const options = { idempotencyKey: toHex(hash) }
  const sent = await channels.email.send({ to, ...message, unsubscribeUrl: null }, options)
  const reason = sent.kind === "sent" ? null : sent.reason
  await recordAccess(services, { companyId, kind: "link_requested", via: "link", who, reason })
  log.info("sign_in_link_sent", { companyId, keyId: who, outcome: sent.kind, ...(reason !== null && { reason }) })
}

/** Signs in with the token of a link, which works once. Throws UNAUTHENTICATED, with one sentence for every cause. */
export async function signInWithLink(services: Services, headers: Headers, token: string): Promise<NewSession> {
  const principal = await loggingFailures(services, "link", () =>
    countingFailures(services, headers, async () => {
      const companyId = tokenCompany(token)?.companyId ?? null
      if (companyId === null) throw linkRefused("malformed")
      const used = await useSignInLink(services.db, companyId, await hashOf(token), services.now())
      if (used.kind === "signed_in") {
        return { keyId: personKeyId(used.personId), role: companyRole(used.role), companyId }
      }
      // Only a token that we made is recorded, so that guesses do not fill the table.
      if (used.personId !== null) {
        const who = personKeyId(used.personId)
        await recordAccess(services, { companyId, kind: "sign_in_failed", via: "link", who, reason: used.reason })
      }
      throw linkRefused(used.reason)
    }),
  )
  return createSession(services, principal, "link")
}

const linkRefused = (reason: string): AppError =>
  new AppError("UNAUTHENTICATED", "This link does not work any more. Ask for a new one.", { reason: `link_${reason}` })

/**
 * Signs in the person whose address Cloudflare Access has checked (header `Cf-Access-Jwt-Assertion`), to the company that
 * is named or the first of the person's. Throws UNAUTHENTICATED for a token that is not valid, FORBIDDEN for an address
 * that no admin has invited, NOT_FOUND where Access is not configured.
 */
export async function signInWithAccess(
  services: Services,
  headers: Headers,
  named: string | null = null,
): Promise<NewSession> {
  const principal = await loggingFailures(services, "access", () =>
    countingFailures(services, headers, async () => {
      const email = await verifyAccessToken(services, headers.get("cf-access-jwt-assertion"))
      const { config, db, now } = services
      const indexes = await indexesOf(config.keys.encryption, email)
      const found = indexes.length === 0 ? [] : await findPeople(db, indexes)
      const person = found.find(({ companyId }) => named === null || companyId === named)
      const role = person ? await markSignIn(db, person.companyId, person.personId, now()) : null
      if (!person || role === null) {
        throw new AppError("FORBIDDEN", "This address has not been invited.", { reason: "address_unknown" })
      }
      return { keyId: personKeyId(person.personId), role: companyRole(role), companyId: person.companyId }
    }),
  )
  return createSession(services, principal, "access")
}

/** Logs why an attempt was refused, and passes the refusal on. */
async function loggingFailures<T>({ log }: Services, source: string, attempt: () => Promise<T>): Promise<T> {
  try {
    return await attempt()
  } catch (error) {
    if (error instanceof AppError) log.info("sign_in_failed", { source, reason: error.reason ?? error.code })
    throw error
  }
}
