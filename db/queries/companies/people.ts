/** The people of a company, and their one-time links. Addresses are stored sealed, with blind indexes. */
import { and, desc, eq, isNull, lt, sql } from "drizzle-orm"
import { type Db, inCompany } from "../../client.ts"
import { people, personAddresses, signInLinks } from "../../schema.ts"
import { textArray } from "../platform/companies.ts"

/** A person; `address` is sealed, null once the person was removed. */
export type PersonRow = typeof people.$inferSelect

/** More people than this in one company are not shown. */
const LISTED_MAX = 500

/** The people, the last invited first, removed ones too. */
export async function listPeople(db: Db, companyId: string): Promise<readonly PersonRow[]> {
  const [rows] = await inCompany(db, companyId, [
    db
      .select()
      .from(people)
      .where(eq(people.companyId, companyId))
      .orderBy(desc(people.createdAt), desc(people.id))
      .limit(LISTED_MAX),
  ])
  return rows
}

/** One person; null when there is none with that id, or the person was removed. */
export async function readPerson(db: Db, companyId: string, id: string): Promise<PersonRow | null> {
  const [rows] = await inCompany(db, companyId, [
    db
      .select()
      .from(people)
      .where(and(eq(people.companyId, companyId), eq(people.id, id), isNull(people.removedAt))),
  ])
  return rows[0] ?? null
}

/** Adds a person with the indexes of the address; a `conflict` (db/client.ts) when the company has the address already. */
export async function addPerson(db: Db, person: PersonRow, indexes: readonly string[]): Promise<void> {
  const { companyId, id: personId } = person
  await inCompany(db, companyId, [
    db.insert(people).values(person),
    db.insert(personAddresses).values(indexes.map((addressIndex) => ({ companyId, personId, addressIndex }))),
  ])
}

/** Changes a person's role. False: no such person. */
export async function setPersonRole(db: Db, companyId: string, id: string, role: string): Promise<boolean> {
  const [rows] = await inCompany(db, companyId, [
    db
      .update(people)
      .set({ role })
      .where(and(eq(people.companyId, companyId), eq(people.id, id), isNull(people.removedAt)))
      .returning({ id: people.id }),
  ])
  return rows.length > 0
}

/** Removes a person, with the address, its indexes and open links. False: no such person. */
export async function removePerson(db: Db, companyId: string, id: string, now: Date): Promise<boolean> {
  const [rows] = await inCompany(db, companyId, [
    db
      .update(people)
      .set({ removedAt: now, address: null })
      .where(and(eq(people.companyId, companyId), eq(people.id, id), isNull(people.removedAt)))
      .returning({ id: people.id }),
    db.delete(personAddresses).where(and(eq(personAddresses.companyId, companyId), eq(personAddresses.personId, id))),
    db.delete(signInLinks).where(and(eq(signInLinks.companyId, companyId), eq(signInLinks.personId, id))),
  ])
  return rows.length > 0
}

/** The people with one of these address indexes, in companies that are not closed. */
export async function findPeople(
  db: Db,
  indexes: readonly string[],
): Promise<readonly { readonly companyId: string; readonly personId: string }[]> {
  const { rows } = await db.execute<{ company_id: string; person_id: string }>(
    sql`select company_id, person_id from find_people(${textArray(indexes)})`,
  )
  return rows.map(({ company_id: companyId, person_id: personId }) => ({ companyId, personId }))
}

/** A link to add. */
export interface NewLink {
  readonly companyId: string
  readonly personId: string
  readonly hash: Uint8Array
  readonly createdAt: Date
  readonly expiresAt: Date
}

/**
 * Adds a link, and deletes the person's links from before `forgetBefore`. False when the person has `linksMax` since
 * then: then none is added.
 */
export async function addSignInLink(
  db: Db,
  link: NewLink,
  { linksMax, forgetBefore }: { readonly linksMax: number; readonly forgetBefore: Date },
): Promise<boolean> {
  const { companyId, personId, hash, createdAt, expiresAt } = link
  const ofPerson = and(eq(signInLinks.companyId, companyId), eq(signInLinks.personId, personId))
  const [, added] = await inCompany(db, companyId, [
    db.delete(signInLinks).where(and(ofPerson, lt(signInLinks.createdAt, forgetBefore))),
    db
      .insert(signInLinks)
      .select(
        sql`select ${companyId}, ${sql.param(hash, signInLinks.hash)}, ${personId}, ${createdAt.toISOString()}::timestamptz,
          ${expiresAt.toISOString()}::timestamptz, null::timestamptz
          where (select count(*) from sign_in_links l where l.company_id = ${companyId} and l.person_id = ${personId}) < ${linksMax}`,
      )
      .returning({ personId: signInLinks.personId }),
  ])
  return added.length > 0
}

/** How using a link went. `personId` is null when there is no such link. */
export type LinkUse =
  | { readonly kind: "signed_in"; readonly personId: string; readonly role: string }
  | { readonly kind: "refused"; readonly personId: string | null; readonly reason: "unknown" | "used" | "expired" }

/** Uses a link, once, unless it has expired, the person was removed, or the company is closed. */
export async function useSignInLink(db: Db, companyId: string, hash: Uint8Array, now: Date): Promise<LinkUse> {
  const isIt = and(eq(signInLinks.companyId, companyId), eq(signInLinks.hash, hash))
  const [known, used] = await inCompany(db, companyId, [
    db.select({ personId: signInLinks.personId, usedAt: signInLinks.usedAt }).from(signInLinks).where(isIt),
    db.execute<{ id: string; role: string }>(sql`
      with used as (
        update sign_in_links set used_at = ${now.toISOString()}
        where ${isIt} and used_at is null and expires_at > ${now.toISOString()}
          and exists (select from companies c where c.id = ${companyId} and c.closed_at is null)
        returning person_id
      )
      update people p set last_sign_in_at = ${now.toISOString()} from used
      where p.company_id = ${companyId} and p.id = used.person_id and p.removed_at is null
      returning p.id, p.role`),
  ])
  const [person, link] = [used.rows[0], known[0]]
  if (person) return { kind: "signed_in", personId: person.id, role: person.role }
  if (!link) return { kind: "refused", personId: null, reason: "unknown" }
  return { kind: "refused", personId: link.personId, reason: link.usedAt === null ? "expired" : "used" }
}

/** Records that a person signed in, and returns the role; null when the person was removed. */
export async function markSignIn(db: Db, companyId: string, personId: string, now: Date): Promise<string | null> {
  const [rows] = await inCompany(db, companyId, [
    db
      .update(people)
      .set({ lastSignInAt: now })
      .where(and(eq(people.companyId, companyId), eq(people.id, personId), isNull(people.removedAt)))
      .returning({ role: people.role }),
  ])
  return rows[0]?.role ?? null
}

/** Adds indexes that an address lacks after a rotation of the keys. */
export async function addAddressIndexes(
  db: Db,
  companyId: string,
  personId: string,
  indexes: readonly string[],
): Promise<void> {
  await inCompany(db, companyId, [
    db
      .insert(personAddresses)
      .values(indexes.map((addressIndex) => ({ companyId, personId, addressIndex })))
      .onConflictDoNothing(),
  ])
}
