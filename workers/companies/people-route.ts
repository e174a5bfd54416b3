/** `/api/people`: who signs in to the dashboard of a company, and with which role; `/api/sign-ins`: when they did. */
import { type Context, Hono } from "hono"
import * as z from "zod"
import { databaseFailure } from "../../db/client.ts"
import { readCompany } from "../../db/queries/companies/companies.ts"
import {
  addPerson,
  listPeople,
  type PersonRow,
  readPerson,
  removePerson,
  setPersonRole,
} from "../../db/queries/companies/people.ts"
import { type AccessEvent, endSessionsOf, listAccessEvents } from "../../db/queries/companies/sessions.ts"
import { normalizeEmail } from "../../shared/contact/address.ts"
import { renderInvitation } from "../../shared/domain/companies/access-messages.ts"
import { AppError } from "../platform/errors.ts"
import { withPermission } from "../platform/http/auth.ts"
import { listOf, pageFields, splitPage, validId, validJson, validQuery } from "../platform/http/request.ts"
import type { AppEnv, Services } from "../platform/services.ts"
import { addressOf, indexesOf, sealAddress } from "./people.ts"
import { SIGN_IN_PATH } from "./sign-in.ts"

/** How long sign-ins are kept. */
const SIGN_INS_KEPT_MS = 400 * 86_400_000

const role = z.enum(["success-analyst", "success-manager", "admin"])
const email = z.string().transform((text, context) => {
  const address = normalizeEmail(text)
  if (address !== null) return address
  context.addIssue({ code: "custom", message: "expected an e-mail address" })
  return z.NEVER
})
const invitation = z.strictObject({ email, role })
const change = z.strictObject({ role })
const pageOfUuids = z.lazy(() =>
  z.strictObject({
    ...pageFields,
    cursor: pageFields.cursor.refine((position) => position === undefined || z.uuid().safeParse(position.id).success, {
      error: "expected a nextCursor of this list",
    }),
  }),
)

export const people = new Hono<AppEnv>()
  .get("/", withPermission("people:read"), async (c) => {
    const services = c.get("services")
    const rows = await listPeople(services.db, c.get("principal").companyId)
    return c.json({ data: await Promise.all(rows.map((row) => showPerson(services, row))), nextCursor: null })
  })
  .post("/", withPermission("people:write"), validJson(invitation), async (c) => {
    const services = c.get("services")
    const { config, db, log, newId, now } = services
    const { companyId, keyId } = c.get("principal")
    const invited = c.req.valid("json")
    const company = await readCompany(db, companyId)
    if (company === null) throw new AppError("NOT_FOUND", "There is no such company.")
    const id = newId()
    const row: PersonRow = {
      ...{ companyId, id, role: invited.role, invitedBy: keyId, createdAt: now(), lastSignInAt: null, removedAt: null },
      address: await sealAddress(config.keys.encryption, companyId, id, invited.email),
    }
    try {
      await addPerson(db, row, await indexesOf(config.keys.encryption, invited.email))
    } catch (error) {
      if (databaseFailure(error) !== "conflict") throw error
      throw new AppError("CONFLICT", "This address is invited already.", { reason: "address_known" })
    }
    const message = renderInvitation({ companyName: company.name, signInUrl: `${config.appUrl}${SIGN_IN_PATH}` })
    const sent = await services.channels.email.send(
      { to: invited.email, ...message, unsubscribeUrl: null },
      { idempotencyKey: id },
    )
    log.info("person_invited", { companyId, keyId, secretId: id, role: invited.role, outcome: sent.kind })
    return c.json({ ...(await showPerson(services, row)), isInvitationSent: sent.kind === "sent" }, 201)
  })
  .put("/:id", withPermission("people:write"), validId(), validJson(change), async (c) => {
    const services = c.get("services")
    const { companyId, keyId } = c.get("principal")
    const { id } = c.req.valid("param")
    if (!(await setPersonRole(services.db, companyId, id, c.req.valid("json").role))) throw noSuchPerson()
    services.log.info("person_changed", { companyId, keyId, secretId: id, role: c.req.valid("json").role })
    const row = await readPerson(services.db, companyId, id)
    if (row === null) throw noSuchPerson()
    return c.json(await showPerson(services, row))
  })
  .delete("/:id", withPermission("people:write"), validId(), async (c) => {
    const { db, log, now } = c.get("services")
    const { companyId, keyId } = c.get("principal")
    const { id } = c.req.valid("param")
    const at = now()
    if (!(await removePerson(db, companyId, id, at))) throw noSuchPerson()
    await endSessionsOf(db, companyId, { personId: id }, at)
    log.info("person_removed", { companyId, keyId, secretId: id })
    return c.body(null, 204)
  })

export const signIns = new Hono<AppEnv>().get(
  "/",
  withPermission("people:read"),
  validQuery(pageOfUuids),
  async (c) => {
    const { page } = splitPage(c.req.valid("query"))
    return c.json(listOf(await readEvents(c, page), showEvent))
  },
)

const readEvents = (c: Context<AppEnv>, page: Parameters<typeof listAccessEvents>[2]) => {
  const { db, now } = c.get("services")
  const forgetBefore = new Date(now().getTime() - SIGN_INS_KEPT_MS)
  return listAccessEvents(db, c.get("principal").companyId, page, forgetBefore)
}

const noSuchPerson = () => new AppError("NOT_FOUND", "There is no such person.")

async function showPerson({ config }: Services, row: PersonRow) {
  return {
    id: row.id,
    companyId: row.companyId,
    email: await addressOf(config.keys.encryption, row),
    role: row.role,
    invitedBy: row.invitedBy,
    createdAt: row.createdAt.toISOString(),
    lastSignInAt: row.lastSignInAt?.toISOString() ?? null,
    removedAt: row.removedAt?.toISOString() ?? null,
  }
}

const showEvent = ({ id, kind, via, who, reason, at }: AccessEvent) => ({
  ...{ id, kind, via, who, reason },
  at: at.toISOString(),
})
