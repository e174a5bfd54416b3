/**
 * Which model scores a company, in this order: the pinned one, its champion, its previous champion, the shared champion, the
 * previous shared champion, and rules. A model whose SHA-256 does not match, or that needs unknown features, is refused
 * with an error log, and the next one serves.
 */
import { findModel, recordServingRefusal } from "../../db/queries/scoring/models.ts"
import { readArtefacts, type ServingRole, type ServingRow } from "../../db/queries/scoring/serving.ts"
import { fromUtf8, sha256, toHex, utf8 } from "../../shared/crypto/bytes.ts"
import { modelFeatures } from "../../shared/domain/scoring/features.ts"
import { BoundedMap } from "../../shared/network/rate-limit.ts"
import type { Artefact } from "../../shared/scoring/model/artefact.ts"
import { InvalidArtefact } from "../../shared/scoring/model/invalid-artefact.ts"
import { type Model, prepareModel } from "../../shared/scoring/model/model.ts"
import { splitOffsets } from "../../shared/scoring/model/offsets.ts"
import { TtlCache } from "../../shared/ttl-cache.ts"
import type { Services } from "../platform/services.ts"

/** A checked model that may score. */
export interface ServingModel {
  readonly place: ServingRole
  readonly sha256: string
  readonly version: string
  readonly model: Model
  /** The company's offset for the model, in log-odds. */
  readonly offset: number
  /** Since when the offset applies; null: since the model exists. */
  readonly offsetSince: Date | null
}

/** What a company is scored by. Without a champion, rules score. */
export interface Serving {
  readonly champion: ServingModel | null
  readonly shadows: readonly ServingModel[]
}

/** A decoded model takes up to 1 MB; an isolate has 128 MB. */
const CACHE_ENTRIES_MAX = 8

/** Checked models by the SHA-256 of their bytes, which is why entries never become outdated. */
const remembered = new BoundedMap<string, Model>(CACHE_ENTRIES_MAX)

/** Refused models are not fetched again for a minute; a corrected row serves after that. */
const refused = new TtlCache<true>({ ttlMs: 60_000, entriesMax: 1_000 })

/** The serving models, chosen in the order of the rows. Loads models that are not cached: one round trip, or none. */
export async function chooseServing(
  services: Services,
  companyId: string,
  rows: readonly ServingRow[],
): Promise<Serving> {
  const nowMs = services.now().getTime()
  const usable = rows.filter((row) => !refused.get(keyOf(row), nowMs))
  const champions = usable.filter(({ place }) => place !== "shadow")
  const shadowRows = usable.filter(({ place }) => place === "shadow")
  // The previous champion is fetched only if the champion is refused.
  const first = champions[0]
  const wanted = [...(first ? [first] : []), ...shadowRows]
  const loaded = await load(services, companyId, wanted)
  let champion = first && (loaded.get(first.sha256) ?? null)
  for (const row of champions.slice(1)) {
    if (champion) break
    champion = (await load(services, companyId, [row])).get(row.sha256) ?? null
  }
  const shadows = shadowRows.flatMap((row) => loaded.get(row.sha256) ?? [])
  return { champion: champion ?? null, shadows }
}

/**
 * A model by SHA-256 or version, in any state and with any features; null: the company has no such model. Throws
 * InvalidArtefact if the artefact does not match its SHA-256.
 */
export async function findServing({ db }: Services, companyId: string, name: string): Promise<ServingModel | null> {
  const found = await findModel(db, companyId, name)
  if (found === null) return null
  const { sha256: address, version, artefact } = found.model
  const model = remembered.get(address) ?? (await readArtefact(artefact, address))
  const { logOdds = null, storedAt = null } = found.offset ?? {}
  return { place: "champion", sha256: address, version, model, ...offsetFor(companyId, model, logOdds, storedAt) }
}

/** A company's offset: the stored one, else the one in an artefact of the older form, else 0. */
const offsetFor = (companyId: string, model: Model, stored: number | null, since: Date | null) => ({
  offset: stored ?? model.offsets.get(companyId) ?? 0,
  offsetSince: since,
})

const keyOf = ({ companyId, sha256: address }: ServingRow): string => `${companyId} ${address}`

/** The checked models of these rows by SHA-256, without refused ones. */
async function load(
  services: Services,
  companyId: string,
  rows: readonly ServingRow[],
): Promise<ReadonlyMap<string, ServingModel>> {
  const missing = rows.filter((row) => !remembered.has(row.sha256))
  const artefacts =
    missing.length === 0 ? new Map<string, string>() : await readArtefacts(services.db, companyId, missing)
  const found = new Map<string, ServingModel>()
  for (const row of rows) {
    const model = remembered.get(row.sha256) ?? (await check(services, row, artefacts.get(row.sha256) ?? null))
    if (model === null) continue
    remembered.set(row.sha256, model)
    const { place, version, sha256: address, offsetAt } = row
    const since = offsetAt === null ? null : new Date(offsetAt)
    found.set(address, { place, version, sha256: address, model, ...offsetFor(companyId, model, row.offset, since) })
  }
  return found
}

async function check(services: Services, row: ServingRow, artefact: string | null): Promise<Model | null> {
  try {
    if (artefact === null) throw new InvalidArtefact("the artefact is gone")
    const model = await readArtefact(artefact, row.sha256)
    if (unknownFeaturesOf(model.artefact).length > 0)
      throw new InvalidArtefact("it asks for features that customers are not described by")
    return model
  } catch (error) {
    if (!(error instanceof InvalidArtefact)) throw error
    const now = services.now()
    refused.set(keyOf(row), true, now.getTime())
    services.log.error("model_refused", { companyId: row.companyId, version: row.version, reason: error.message })
    const record = () => recordServingRefusal(services.db, row, error.message, now)
    if (row.refusedAt === null) services.waitUntil(record().catch(() => undefined))
    return null
  }
}

/** The model of an artefact's text; throws InvalidArtefact unless the text has this SHA-256 and is a valid model. */
export async function readArtefact(text: string, address: string): Promise<Model> {
  const found = toHex(await sha256(utf8(text)))
  if (found !== address) throw new InvalidArtefact("the artefact's sha-256 is not its address")
  return prepareModel(parse(text))
}

/** An artefact's text as uploaded; one of the older form without its offsets, because they contain ids of companies. */
export function shareableText(text: string): string {
  const { rest, offsets } = splitOffsets(parse(text))
  return offsets.size === 0 ? text : JSON.stringify(rest)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new InvalidArtefact("the artefact is not JSON")
  }
}

const KNOWN_FEATURES = new Map(modelFeatures.map(({ name, type }) => [name, type]))

/** The names of a model's inputs that are not among our features or have another type. */
export const unknownFeaturesOf = ({ features }: Pick<Artefact, "features">): readonly string[] =>
  features.filter(({ name, type }) => KNOWN_FEATURES.get(name) !== type).map(({ name }) => name)

/** The text of an uploaded artefact; throws InvalidArtefact if it is not UTF-8, which Postgres could not store. */
export function artefactText(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes)
  } catch {
    throw new InvalidArtefact("the artefact is not UTF-8")
  }
}
