/** The models that score a company: which they are, in which order they serve, and their artefacts. */
import { and, inArray, sql } from "drizzle-orm"
import { SHARED_COMPANY } from "../../../shared/scoring/stored-values.ts"
import { type Db, inCompany } from "../../client.ts"
import { modelChampions, modelOffsets, models } from "../../schema/scoring.ts"
import { visibleTo } from "./models.ts"

/** A model's role: pinned by configuration, champion of the company or of all, the champion before it, or shadow. */
export type ServingRole = "pinned" | "champion" | "previous" | "shared" | "shared_previous" | "shadow"

/** A model that may score a company. */
export interface ServingRow {
  readonly place: ServingRole
  readonly companyId: string
  readonly sha256: string
  readonly version: string
  readonly refusedAt: string | null
  /** The company's offset in log-odds, and since when; null: none is stored. */
  readonly offset: number | null
  readonly offsetAt: string | null
}

/**
 * The statement that reads the models of a company in order of precedence, shadows last; unsent. A previous champion is
 * listed only while there is a champion.
 */
export const servingStatement = (db: Db, companyId: string, pin: string | null) =>
  db.execute<ServingRow & Record<string, unknown>>(sql`
    select w.place, m.company_id as "companyId", m.sha256, m.version, m.refused_at as "refusedAt",
      o.log_odds as "offset", o.stored_at as "offsetAt"
    from (
      (select 0 as n, 'pinned' as place, p.company_id, p.sha256 from models p
        where ${pin}::text in (p.sha256, p.version) and p.company_id in (${companyId}, ${SHARED_COMPANY})
        order by p.company_id = ${SHARED_COMPANY} limit 1)
      union all
      select case c.company_id when ${SHARED_COMPANY} then 3 else 1 end,
        case c.company_id when ${SHARED_COMPANY} then 'shared' else 'champion' end, c.company_id, c.champion
        from ${modelChampions} c where c.company_id in (${companyId}, ${SHARED_COMPANY})
      union all
      select case c.company_id when ${SHARED_COMPANY} then 4 else 2 end,
        case c.company_id when ${SHARED_COMPANY} then 'shared_previous' else 'previous' end, c.company_id, c.previous
        from ${modelChampions} c where c.company_id in (${companyId}, ${SHARED_COMPANY}) and c.champion is not null
      union all
      select 5, 'shadow', s.company_id, s.sha256 from models s
        where s.state = 'shadow' and s.company_id in (${companyId}, ${SHARED_COMPANY})
    ) as w join models m on m.company_id = w.company_id and m.sha256 = w.sha256
    left join ${modelOffsets} o on o.company_id = ${companyId} and o.sha256 = m.sha256
    order by w.n, m.sha256`)

/** The models that may score a company; see `servingStatement`. */
export async function readServing(db: Db, companyId: string, pin: string | null): Promise<readonly ServingRow[]> {
  const [result] = await inCompany(db, companyId, [servingStatement(db, companyId, pin)])
  return result.rows
}

/** The artefacts of these models as uploaded, by SHA-256. */
export async function readArtefacts(
  db: Db,
  companyId: string,
  wanted: readonly Pick<ServingRow, "companyId" | "sha256">[],
): Promise<ReadonlyMap<string, string>> {
  const [rows] = await inCompany(db, companyId, [
    db
      .select({ sha256: models.sha256, artefact: models.artefact })
      .from(models)
      .where(
        and(
          visibleTo(companyId),
          inArray(
            models.sha256,
            wanted.map(({ sha256 }) => sha256),
          ),
        ),
      )
      // A company's own copy of a shared model comes last, so that it wins in the map.
      .orderBy(sql`${models.companyId} <> ${SHARED_COMPANY}`),
  ])
  return new Map(rows.map(({ sha256, artefact }) => [sha256, artefact]))
}
