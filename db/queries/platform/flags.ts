/** Flags in Postgres: a copy of those in Redis, and all their changes. They belong to no tenant. */
import { and, desc, eq, sql } from "drizzle-orm"
import { FLAG_NAMES, type FlagName, type FlagValue } from "../../../shared/domain/flags.ts"
import { applyFlagChange, type FlagChange } from "../../../shared/flags/flag-store.ts"
import type { SetFlag, SetFlags } from "../../../shared/flags/flags.ts"
import type { Db } from "../../client.ts"
import { flagChanges, flags } from "../../schema.ts"
import { type Page, type PageRequest, pageOf } from "./page.ts"

/** The flags that are set. */
export async function readFlagCopy(db: Db): Promise<SetFlags> {
  const rows = await db.select().from(flags)
  const set: Partial<Record<FlagName, SetFlag>> = {}
  for (const { name, ...row } of rows) {
    // A flag of a later version is ignored.
    const known = FLAG_NAMES.find((candidate) => candidate === name)
    if (known) set[known] = { ...row, updatedAt: row.updatedAt.toISOString() }
  }
  return set
}

/** Writes a change and its audit entry in one transaction; a newer value is kept. Idempotent. */
export async function saveFlagChange(db: Db, change: FlagChange): Promise<void> {
  await db.batch([
    upsert(db, change.name, applyFlagChange(change)),
    db
      .insert(flagChanges)
      .values({ ...change, at: new Date(change.at) })
      .onConflictDoNothing(),
  ])
}

/** Stores a value that is newer in Redis. Its audit entry is copied separately. */
export async function saveFlag(db: Db, name: FlagName, flag: SetFlag): Promise<void> {
  await upsert(db, name, flag)
}

function upsert(db: Db, name: FlagName, flag: SetFlag) {
  const { revision, changeId, ...rest } = flag
  const row = { ...rest, revision, changeId, updatedAt: new Date(flag.updatedAt) }
  return db
    .insert(flags)
    .values({ name, ...row })
    .onConflictDoUpdate({
      target: flags.name,
      set: row,
      setWhere: sql`(${flags.revision}, ${flags.changeId}) < (${revision}::bigint, ${changeId}::uuid)`,
    })
}

export interface FlagChangeRow {
  readonly id: string
  readonly before: FlagValue | null
  readonly after: FlagValue
  readonly who: string
  readonly why: string | null
  readonly at: Date
}

/** A page of the changes of one flag, newest first. */
export async function listFlagChanges(db: Db, name: FlagName, page: PageRequest): Promise<Page<FlagChangeRow>> {
  const { after } = page
  const rows = await db
    .select()
    .from(flagChanges)
    .where(
      and(
        eq(flagChanges.name, name),
        after === null
          ? undefined
          : sql`(${flagChanges.at}, ${flagChanges.id}) < (${after.at.toISOString()}::timestamptz, ${after.id}::uuid)`,
      ),
    )
    .orderBy(desc(flagChanges.at), desc(flagChanges.id))
    .limit(page.limit + 1)
  return pageOf(rows, page, ({ at, id }) => ({ at, id }))
}
