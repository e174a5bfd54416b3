/**
 * Sessions of the dashboard. A session is a row that is read with every page, so that revoking it, its key or its person
 * takes effect at once; the role is that of the key or the person now. Only the SHA-256 of its token is stored.
 */
import {
  type AccessEventKind,
  addSession,
  endSession,
  readSessionRow,
  recordAccessEvent,
  type SessionReading,
  type SignInWay,
} from "../../db/queries/companies/sessions.ts"
import { areEqual } from "../../shared/crypto/bytes.ts"
import { AppError } from "../platform/errors.ts"
import { BOOTSTRAP_KEY_ID, companyRole, operatorOf } from "../platform/http/auth.ts"
import type { Principal, Services } from "../platform/services.ts"
import { hashOf, newToken, tokenCompany } from "./random-token.ts"

/** A working day. After that the user has to sign in again. */
const SESSION_MS = 12 * 3_600_000
/** Ended sessions are kept for a month, as a record. */
const FORGET_AFTER_MS = 30 * 86_400_000
/** The last visit is recorded to five minutes, so that most pages write nothing. */
const SEEN_EVERY_MS = 5 * 60_000

const PERSON = "person:"

/** The `keyId` of a person who signed in. */
export const personKeyId = (personId: string): string => `${PERSON}${personId}`

/** The person of a `keyId`; null when it is a key's. */
export const personOf = ({ keyId }: Pick<Principal, "keyId">): string | null =>
  keyId.startsWith(PERSON) ? keyId.slice(PERSON.length) : null

/** A session, as long as it is valid. */
export interface Session {
  readonly id: string
  readonly principal: Principal
  readonly via: SignInWay
  readonly createdAt: Date
  readonly expiresAt: Date
}

/** A session that was just made; its token is not stored anywhere and cannot be read again. */
export interface NewSession {
  readonly token: string
  readonly session: Session
}

/** Makes a session for somebody who has just proved who they are, and records the sign-in. */
export async function createSession(services: Services, principal: Principal, via: SignInWay): Promise<NewSession> {
  const { config, db, log, newId, now } = services
  const createdAt = now()
  const companyId = tenantOf(principal)
  const personId = personOf(principal)
  const token = newToken(companyId)
  const isBootstrap = principal.keyId === BOOTSTRAP_KEY_ID && companyId === null
  const row = {
    ...{ companyId, via, createdAt, personId, role: principal.role, lastSeenAt: createdAt, revokedAt: null },
    id: newId(),
    hash: await hashOf(token),
    keyId: personId === null ? principal.keyId : null,
    keyHash: isBootstrap ? await hashOf(config.access.adminApiKey) : null,
    expiresAt: new Date(createdAt.getTime() + SESSION_MS),
  }
  const event = eventOf(services, { companyId, kind: "signed_in", via, who: principal.keyId, reason: null })
  await addSession(db, row, event, new Date(createdAt.getTime() - FORGET_AFTER_MS))
  log.info("signed_in", { companyId, keyId: principal.keyId, role: principal.role, source: via })
  return { token, session: { id: row.id, principal, via, createdAt, expiresAt: row.expiresAt } }
}

/**
 * The session of a token; null when there is none, or it has ended, or its key, person or company is not valid any more.
 * An operator may name a company: NOT_FOUND when it does not exist. For everybody else FORBIDDEN unless it is their own.
 */
export async function readSession(
  services: Services,
  token: string,
  { companyId: named = null }: { readonly companyId?: string | null } = {},
): Promise<Session | null> {
  const from = tokenCompany(token)
  if (from === null) return null
  const now = services.now()
  const seenBefore = new Date(now.getTime() - SEEN_EVERY_MS)
  const reading = await readSessionRow(services.db, from.companyId, await hashOf(token), { now, seenBefore })
  if (reading === null || !isLive(reading, now)) return null
  const principal = await principalOf(services, reading, named)
  if (principal === null) return null
  const { id, via, createdAt, expiresAt } = reading.session
  return { id, principal, via, createdAt, expiresAt }
}

/** Ends a session now, and records the sign-out. False when there was none. */
export async function revokeSession(services: Services, token: string): Promise<boolean> {
  const from = tokenCompany(token)
  if (from === null) return false
  const { db, log, now } = services
  const ended = await endSession(db, from.companyId, await hashOf(token), now())
  if (ended === null) return false
  const { personId, keyId, via } = ended
  const who = personId === null ? keyId : personKeyId(personId)
  await recordAccess(services, { companyId: from.companyId, kind: "signed_out", via, who, reason: null })
  log.info("signed_out", { companyId: from.companyId, source: via, ...(who !== null && { keyId: who }) })
  return true
}

/** What is recorded of a sign-in, a failed one, or a sign-out. */
interface AccessRecord {
  readonly companyId: string | null
  readonly kind: AccessEventKind
  readonly via: SignInWay
  readonly who: string | null
  readonly reason: string | null
}

const eventOf = ({ newId, now }: Services, event: AccessRecord) => ({ ...event, id: newId(), at: now() })

/** Records an event; a failure to record it is logged and does not fail the request. */
export async function recordAccess(services: Services, event: AccessRecord): Promise<void> {
  await recordAccessEvent(services.db, eventOf(services, event)).catch((error: unknown) =>
    services.log.warn("access_event_not_recorded", { companyId: event.companyId, reason: event.kind, error }),
  )
}

/** An operator's session belongs to no company. */
const tenantOf = ({ role, companyId }: Principal): string | null => (role === "operator" ? null : companyId)

const isLive = ({ session, companyClosedAt }: SessionReading, now: Date): boolean =>
  session.revokedAt === null && session.expiresAt > now && session.createdAt <= now && companyClosedAt === null

async function principalOf(
  services: Services,
  reading: SessionReading,
  named: string | null,
): Promise<Principal | null> {
  const { session, personRole } = reading
  const { companyId, personId, keyId } = session
  if (companyId === null) {
    if (keyId === null || !(await isKeyValid(services, reading))) return null
    return operatorOf(services, keyId, { companyId: named, isCompanyNeeded: false })
  }
  const owner =
    personId === null
      ? { keyId, role: (await isKeyValid(services, reading)) ? (reading.key?.role ?? null) : null }
      : { keyId: personKeyId(personId), role: personRole }
  if (owner.keyId === null || owner.role === null) return null
  if (named !== null && named !== companyId) {
    throw new AppError("FORBIDDEN", "You are signed in to another company.", { reason: "other_company" })
  }
  return { keyId: owner.keyId, role: companyRole(owner.role), companyId }
}

/** Whether a session's key still signs in. The deployment's own key is not in the database: its hash must be the same. */
async function isKeyValid({ config, now }: Services, { session, key }: SessionReading): Promise<boolean> {
  if (session.keyHash !== null) return areEqual(session.keyHash, await hashOf(config.access.adminApiKey))
  if (key === null || key.revokedAt !== null) return false
  return key.expiresAt === null || key.expiresAt > now()
}
