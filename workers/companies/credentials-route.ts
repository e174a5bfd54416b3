/**
 * `/api/credentials`: a company's own access to providers and channels, one of each kind. What is secret is never shown again;
 * its last characters, the account and the result of the last check are.
 */
import { type Context, Hono } from "hono"
import * as z from "zod"
import {
  type CredentialRow,
  deleteCredential,
  readCredentials,
  saveCredential,
} from "../../db/queries/platform/credentials.ts"
import type { Config } from "../../shared/config.ts"
import {
  CREDENTIAL_KINDS,
  CREDENTIALS,
  type CredentialKind,
  type SharedKind,
  shownOf,
} from "../../shared/credentials.ts"
import { slackOrigin } from "../platform/channel-credentials.ts"
import { forgetCredentials, openCredential, sealCredential } from "../platform/credentials.ts"
import { AppError } from "../platform/errors.ts"
import { requirePermission, withPermission } from "../platform/http/auth.ts"
import { firstIssue, validJson, validParam } from "../platform/http/request.ts"
import type { AppEnv, Services } from "../platform/services.ts"
import { type AnyCredential, type CheckResult, checkCredential } from "./check-credentials.ts"
import { forExistingCompany } from "./existing-company.ts"

const validKind = validParam(z.object({ kind: z.enum(CREDENTIAL_KINDS) }), "There is no such kind of credential.")

/** The fields depend on the kind, and are validated by the handler. */
const anyFields = z.record(z.string(), z.unknown())
const describedFields = z.union(CREDENTIAL_KINDS.map((kind) => CREDENTIALS[kind]))

/** Results with which a credential cannot work. */
const UNUSABLE: ReadonlySet<CheckResult | null> = new Set(["refused", "other_account"])

export const credentials = new Hono<AppEnv>()
  .get("/", withPermission("secrets:read"), async (c) => {
    const services = c.get("services")
    const { rows, sharedKinds } = await readCredentials(services.db, c.get("principal").companyId)
    const data = CREDENTIAL_KINDS.map((kind) => {
      const row = rows.find((each) => each.kind === kind)
      return row === undefined ? showDefault(services, kind, sharedKinds) : showOwn(row)
    })
    return c.json({ data, nextCursor: null })
  })
  .get("/:kind", withPermission("secrets:read"), validKind, async (c) =>
    c.json(showOwn(await rowOf(c, c.req.valid("param").kind))),
  )
  .put(
    "/:kind",
    withPermission("secrets:write"),
    validKind,
    validJson(anyFields, { describedBy: describedFields }),
    async (c) => {
      const services = c.get("services")
      const { companyId, keyId } = c.get("principal")
      const { kind } = c.req.valid("param")
      const credential = credentialOf(c, kind, c.req.valid("json"))
      const result = await checkCredential(services, companyId, credential)
      if (UNUSABLE.has(result)) {
        throw new AppError("CONFLICT", "The service refuses this credential, or it belongs to another account.", {
          reason: `credential_${result}`,
        })
      }
      const at = services.now()
      const row: CredentialRow = {
        ...{ companyId, kind, createdAt: at, createdBy: keyId, shown: shownOf(credential.value) },
        ...{ checkResult: result, checkedAt: result === null ? null : at },
        sealed: await sealCredential(services.config, { companyId, kind }, credential.value),
      }
      await forExistingCompany(saveCredential(services.db, row))
      forgetCredentials(companyId)
      services.log.info("credential_saved", {
        companyId,
        keyId,
        target: kind,
        ...(result !== null && { outcome: result }),
      })
      return c.json(showOwn(row))
    },
  )
  .post("/:kind/check", withPermission("secrets:write"), validKind, async (c) => {
    const services = c.get("services")
    const row = await rowOf(c, c.req.valid("param").kind)
    const value = await openCredential(services.config, row)
    // The kind of a row says which credential is sealed in it.
    const result = await checkCredential(services, row.companyId, { kind: row.kind, value } as AnyCredential)
    const checked = { ...row, checkResult: result, checkedAt: result === null ? null : services.now() }
    // An outage says nothing new about the credential.
    if (result !== "unavailable") await saveCredential(services.db, checked)
    return c.json(showOwn(checked))
  })
  .delete("/:kind", withPermission("secrets:write"), validKind, async (c) => {
    const { db, log } = c.get("services")
    const { companyId, keyId } = c.get("principal")
    const { kind } = c.req.valid("param")
    if (!(await deleteCredential(db, companyId, kind))) throw noSuchCredential()
    forgetCredentials(companyId)
    log.info("credential_deleted", { companyId, keyId, target: kind })
    return c.body(null, 204)
  })

const noSuchCredential = () => new AppError("NOT_FOUND", "The company has no credential of this kind.")

async function rowOf(c: Context<AppEnv>, kind: CredentialKind): Promise<CredentialRow> {
  const { rows } = await readCredentials(c.get("services").db, c.get("principal").companyId)
  const row = rows.find((each) => each.kind === kind)
  if (row === undefined) throw noSuchCredential()
  return row
}

/** The credential in a body. Throws MALFORMED, and FORBIDDEN for a link domain from anybody but an operator. */
function credentialOf(c: Context<AppEnv>, kind: CredentialKind, body: unknown): AnyCredential {
  // Members would be led to any address that a company names, from the deployment's sender too.
  if (kind === "link-domain") requirePermission(c.get("principal"), "brands:write")
  const parsed = CREDENTIALS[kind].safeParse(body)
  if (!parsed.success) throw new AppError("MALFORMED", `The body is not acceptable: ${firstIssue(parsed.error)}.`)
  const credential = { kind, value: parsed.data } as AnyCredential
  const { config } = c.get("services")
  if (credential.kind === "slack" && new URL(credential.value.webhookUrl).origin !== slackOrigin(config)) {
    throw new AppError("MALFORMED", "The body is not acceptable: webhookUrl: expected a webhook of hooks.slack.com.")
  }
  return credential
}

const showOwn = ({ kind, shown, checkResult, checkedAt, createdAt, createdBy }: CredentialRow) => ({
  kind,
  source: "own",
  shown,
  checkResult,
  checkedAt: checkedAt?.toISOString() ?? null,
  createdAt: createdAt.toISOString(),
  createdBy,
})

/** Without one of its own the company uses the deployment's, where it may and where there is one. */
const showDefault = ({ config }: Services, kind: CredentialKind, shared: readonly SharedKind[]) => ({
  kind,
  source: shared.some((each) => each === kind) && hasDeploymentCredential(config, kind) ? "deployment" : "none",
  ...{ shown: null, checkResult: null, checkedAt: null, createdAt: null, createdBy: null },
})

function hasDeploymentCredential(config: Config, kind: CredentialKind): boolean {
  const { channels, providers } = config
  switch (kind) {
    case "stripe":
    case "whop":
      return providers[kind].apiKey !== null
    case "sendgrid":
      return channels.sendgrid.apiKey !== null
    case "twilio":
      return channels.twilio.authToken !== null
    case "slack":
      return channels.slack.webhookUrl !== null
    case "link-domain":
      return false
  }
}
