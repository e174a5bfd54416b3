/** Sessions of the dashboard and the record of sign-ins; with null as the company, those of operators. */
import { and, desc, eq, isNull, lt, sql } from "drizzle-orm"
import { type Db, inCompany } from "../../client.ts"
import { type AccessEventKind, accessEvents, type SignInWay, sessions } from "../../schema.ts"
import { type Page, type PageRequest, pageOf } from "../platform/page.ts"

export type { AccessEventKind, SignInWay }
export type SessionRow = typeof sessions.$inferSelect
export type AccessEvent = typeof accessEvents.$inferSelect

const ofCompany = (companyId: string | null) =>
  companyId === null ? isNull(sessions.companyId) : eq(sessions.companyId, companyId)

/** Adds a session with its sign-in event, and deletes the company's sessions that ended before `forgetBefore`. */
export async function addSession(db: Db, session: SessionRow, event: AccessEvent, forgetBefore: Date): Promise<void> {
  await inCompany(db, session.companyId ?? "", [
    db.delete(sessions).where(and(ofCompany(session.companyId), lt(sessions.expiresAt, forgetBefore))),
    db.insert(sessions).values(session),
    db.insert(accessEvents).values(event),
  ])
}

/** A session, with what its owner is now. */
export interface SessionReading {
  readonly session: SessionRow
  /** The person's role now; null: the person was removed, or the session is a key's. */
  readonly personRole: string | null
  /** The key's; null: the session is a person's, or the key is not in the database. */
  readonly key: { readonly role: string; readonly revokedAt: Date | null; readonly expiresAt: Date | null } | null
  readonly companyClosedAt: Date | null
}

interface SessionColumns extends Record<string, unknown> {
  readonly person_role: string | null
  readonly key_role: string | null
  readonly key_revoked_at: string | null
  readonly key_expires_at: string | null
  readonly closed_at: string | null
}

/**
 * The session of a token's hash; null: there is none. It is marked as seen at `now` unless it was since `seenBefore`. One
 * round trip.
 */
export async function readSessionRow(
  db: Db,
  companyId: string | null,
  hash: Uint8Array,
  { now, seenBefore }: { readonly now: Date; readonly seenBefore: Date },
): Promise<SessionReading | null> {
  const isIt = and(ofCompany(companyId), eq(sessions.hash, hash))
  const [rows, owners] = await inCompany(db, companyId ?? "", [
    db.select().from(sessions).where(isIt),
    db.execute<SessionColumns>(sql`
      select p.role as person_role, k.role as key_role, k.revoked_at as key_revoked_at, k.expires_at as key_expires_at,
        c.closed_at
      from ${sessions}
      left join people p on p.company_id = sessions.company_id and p.id = sessions.person_id and p.removed_at is null
      left join api_keys k on k.company_id is not distinct from sessions.company_id and k.id = sessions.key_id
      left join companies c on c.id = sessions.company_id
      where ${isIt}`),
    db
      .update(sessions)
      .set({ lastSeenAt: now })
      .where(and(isIt, lt(sessions.lastSeenAt, seenBefore), isNull(sessions.revokedAt))),
  ])
  const [session, owner] = [rows[0], owners.rows[0]]
  if (!session || !owner) return null
  const time = (text: string | null) => (text === null ? null : new Date(text))
  return {
    session,
    personRole: owner.person_role,
    key:
      owner.key_role === null
        ? null
        : { role: owner.key_role, revokedAt: time(owner.key_revoked_at), expiresAt: time(owner.key_expires_at) },
    companyClosedAt: time(owner.closed_at),
  }
}

/** Ends the session of a token's hash. Returns its owner; null: there was no such session, or it had ended. */
export async function endSession(
  db: Db,
  companyId: string | null,
  hash: Uint8Array,
  now: Date,
): Promise<Pick<SessionRow, "personId" | "keyId" | "via"> | null> {
  const [rows] = await inCompany(db, companyId ?? "", [
    db
      .update(sessions)
      .set({ revokedAt: now })
      .where(and(ofCompany(companyId), eq(sessions.hash, hash), isNull(sessions.revokedAt)))
      .returning({ personId: sessions.personId, keyId: sessions.keyId, via: sessions.via }),
  ])
  return rows[0] ?? null
}

/** Ends all sessions of a person or a key. Returns how many. */
export async function endSessionsOf(
  db: Db,
  companyId: string | null,
  owner: { readonly personId: string } | { readonly keyId: string },
  now: Date,
): Promise<number> {
  const isOwner = "personId" in owner ? eq(sessions.personId, owner.personId) : eq(sessions.keyId, owner.keyId)
  const [rows] = await inCompany(db, companyId ?? "", [
    db
      .update(sessions)
      .set({ revokedAt: now })
      .where(and(ofCompany(companyId), isOwner, isNull(sessions.revokedAt)))
      .returning({ id: sessions.id }),
  ])
  return rows.length
}

/** Records an event. */
export async function recordAccessEvent(db: Db, event: AccessEvent): Promise<void> {
  await inCompany(db, event.companyId ?? "", [db.insert(accessEvents).values(event)])
}

/** A page of the record, the latest first; rows from before `forgetBefore` are deleted. */
export async function listAccessEvents(
  db: Db,
  companyId: string | null,
  page: PageRequest,
  forgetBefore: Date,
): Promise<Page<AccessEvent>> {
  const isOfCompany = companyId === null ? isNull(accessEvents.companyId) : eq(accessEvents.companyId, companyId)
  const { after } = page
  const [, rows] = await inCompany(db, companyId ?? "", [
    db.delete(accessEvents).where(and(isOfCompany, lt(accessEvents.at, forgetBefore))),
    db
      .select()
      .from(accessEvents)
      .where(
        and(
          isOfCompany,
          after === null
            ? undefined
            : sql`(${accessEvents.at}, ${accessEvents.id}) < (${after.at.toISOString()}::timestamptz, ${after.id}::uuid)`,
        ),
      )
      .orderBy(desc(accessEvents.at), desc(accessEvents.id))
      .limit(page.limit + 1),
  ])
  return pageOf(rows, page, ({ at, id }) => ({ at, id }))
}
