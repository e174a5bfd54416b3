/** Trainings of challengers, and their verdicts. */
import { and, desc, eq, inArray, isNull, or, sql } from "drizzle-orm"
import type { Verdict } from "../../../shared/learning/monitoring/verdict.ts"
import { type Db, inCompany } from "../../client.ts"
import { modelRetrainings, models } from "../../schema.ts"
import { type Page, type PageRequest, pageOf } from "../platform/page.ts"

export type RetrainingRow = typeof modelRetrainings.$inferSelect

/** How a training ended. */
export interface RetrainingEnd {
  readonly outcome: string
  readonly method: string | null
  readonly championSha256: string | null
  readonly challengerSha256: string | null
  readonly rows: number
  readonly events: number
}

/** Records a finished training. */
export async function recordRetraining(
  db: Db,
  companyId: string,
  { id, startedAt, finishedAt, ...end }: RetrainingEnd & { id: string; startedAt: Date; finishedAt: Date },
): Promise<void> {
  await inCompany(db, companyId, [db.insert(modelRetrainings).values({ companyId, id, startedAt, finishedAt, ...end })])
}

/** Challengers that are shadows and not rejected: without a verdict, waiting or proposed; oldest first. */
export async function pendingChallengers(
  db: Db,
  companyId: string,
): Promise<readonly (RetrainingRow & { readonly challengerSha256: string })[]> {
  const [rows] = await inCompany(db, companyId, [
    db
      .select({ row: modelRetrainings })
      .from(modelRetrainings)
      .innerJoin(
        models,
        and(
          eq(models.companyId, companyId),
          eq(models.sha256, modelRetrainings.challengerSha256),
          eq(models.state, "shadow"),
        ),
      )
      .where(
        and(
          eq(modelRetrainings.companyId, companyId),
          or(isNull(modelRetrainings.verdict), inArray(modelRetrainings.verdict, ["wait", "propose"])),
        ),
      )
      .orderBy(modelRetrainings.startedAt),
  ])
  return rows.flatMap(({ row: { challengerSha256, ...row } }) =>
    challengerSha256 === null ? [] : [{ ...row, challengerSha256 }],
  )
}

/** Records a challenger's verdict. True if it is proposed for the first time. */
export async function recordVerdict(
  db: Db,
  companyId: string,
  id: string,
  { word, ...details }: Verdict,
  now: Date,
): Promise<boolean> {
  const proposedAt = sql`case when ${word} = 'propose' then coalesce(${modelRetrainings.proposedAt}, ${now.toISOString()}::timestamptz) end`
  const [rows] = await inCompany(db, companyId, [
    db
      .update(modelRetrainings)
      .set({ verdict: word, verdictDetails: details, judgedAt: now, proposedAt })
      .where(and(eq(modelRetrainings.companyId, companyId), eq(modelRetrainings.id, id)))
      .returning({ proposedAt: modelRetrainings.proposedAt }),
  ])
  return rows[0]?.proposedAt?.getTime() === now.getTime()
}

/** A page of trainings, newest first, with the version of each challenger. */
export async function listRetrainings(
  db: Db,
  companyId: string,
  filter: { readonly verdict?: Verdict["word"] | undefined; readonly challenger?: string | undefined },
  page: PageRequest,
): Promise<Page<RetrainingRow & { readonly version: string | null; readonly state: string | null }>> {
  const { after } = page
  const [rows] = await inCompany(db, companyId, [
    db
      .select({ row: modelRetrainings, version: models.version, state: models.state })
      .from(modelRetrainings)
      .leftJoin(models, and(eq(models.companyId, companyId), eq(models.sha256, modelRetrainings.challengerSha256)))
      .where(
        and(
          eq(modelRetrainings.companyId, companyId),
          filter.verdict && eq(modelRetrainings.verdict, filter.verdict),
          filter.challenger === undefined ? undefined : eq(modelRetrainings.challengerSha256, filter.challenger),
          after === null
            ? undefined
            : sql`(${modelRetrainings.startedAt}, ${modelRetrainings.id}) < (${after.at.toISOString()}::timestamptz, ${after.id}::uuid)`,
        ),
      )
      .orderBy(desc(modelRetrainings.startedAt), desc(modelRetrainings.id))
      .limit(page.limit + 1),
  ])
  return pageOf(
    rows.map(({ row, version, state }) => ({ ...row, version, state })),
    page,
    ({ startedAt, id }) => ({ at: startedAt, id }),
  )
}
