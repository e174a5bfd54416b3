/** A company's own credentials, opened and cached in the isolate, and the deployment's that it may use instead. */
import { type CredentialRow, readCredentials } from "../../db/queries/platform/credentials.ts"
import type { Config } from "../../shared/config.ts"
import { CREDENTIALS, type CredentialKind, type Credentials, type SharedKind } from "../../shared/credentials.ts"
import { fromUtf8, utf8 } from "../../shared/crypto/bytes.ts"
import { open, type SealContext, seal } from "../../shared/crypto/seal.ts"
import { TtlCache } from "../../shared/ttl-cache.ts"
import type { Services } from "./services.ts"

/** A new or deleted credential takes effect in every isolate within a minute. */
const CACHE_TTL_MS = 60_000
/** Companies whose credentials are in memory at once. */
const ENTRIES_MAX = 1_000

/** What a company may use. */
export interface CompanyAccess {
  readonly own: Credentials
  /** The kinds for which the deployment's credentials are the default. */
  readonly shared: ReadonlySet<SharedKind>
}

const cache = new TtlCache<CompanyAccess>({ ttlMs: CACHE_TTL_MS, entriesMax: ENTRIES_MAX })

/**
 * What a company may use; while Postgres is unavailable, what was read last. Throws `SealError` when a credential cannot be
 * opened: the deployment's must not be used in its place.
 */
export const accessOf = (
  { config, db, now }: Pick<Services, "config" | "db" | "now">,
  companyId: string,
): Promise<CompanyAccess> =>
  cache.load(
    companyId,
    now().getTime(),
    async () => {
      const { rows, sharedKinds } = await readCredentials(db, companyId)
      const opened = await Promise.all(rows.map(async (row) => [row.kind, await openCredential(config, row)] as const))
      return { own: Object.fromEntries(opened), shared: new Set(sharedKinds) }
    },
    { isStaleAllowed: true },
  )

/**
 * Whether the company's name and branding need no approval: the operator configures the default company, and a company with
 * its own sender writes under its own address.
 */
export const isTrustedSender = async (
  services: Pick<Services, "config" | "db" | "now">,
  companyId: string,
): Promise<boolean> =>
  companyId === services.config.access.defaultCompanyId ||
  (await accessOf(services, companyId)).own.sendgrid !== undefined

/** Makes this isolate read the company's credentials again; the others do so within a minute. */
export const forgetCredentials = (companyId: string): void => cache.delete(companyId)

const placeOf = (companyId: string, kind: CredentialKind): SealContext => ({
  purpose: { name: "secret" },
  context: ["company_credentials", "sealed", kind, companyId],
})

/** A credential, sealed for its row. */
export const sealCredential = (
  { keys }: Config,
  { companyId, kind }: Pick<CredentialRow, "companyId" | "kind">,
  credential: object,
): Promise<Uint8Array> => seal(keys.encryption, placeOf(companyId, kind), utf8(JSON.stringify(credential)))

/** A stored credential. Throws `SealError`. */
export async function openCredential(
  { keys }: Config,
  { companyId, kind, sealed }: Pick<CredentialRow, "companyId" | "kind" | "sealed">,
): Promise<Credentials[CredentialKind]> {
  const text = fromUtf8(await open(keys.encryption, placeOf(companyId, kind), sealed))
  return CREDENTIALS[kind].parse(JSON.parse(text))
}
