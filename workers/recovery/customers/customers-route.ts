/** `/api/customers`: customers with the data that the caller's role may see. */

import { Hono } from "hono"
import * as z from "zod"
import { type MilestoneRow, milestonesOf } from "../../../db/queries/interventions/milestones.ts"
import { settingsOf as readSettings } from "../../../db/queries/platform/companies.ts"
import type { PageRequest } from "../../../db/queries/platform/page.ts"
import {
  type ConsentRow,
  type CustomerFilter,
  type CustomerRow,
  customerNamed,
  findCustomers,
  listCustomers,
  readCustomer,
} from "../../../db/queries/recovery/customers.ts"
import { releaseQuarantine } from "../../../db/queries/recovery/quarantines.ts"
import { listPredictions, type ScoreRow } from "../../../db/queries/scoring/scores.ts"
import { addressIndexes } from "../../../shared/contact/address-index.ts"
import { wordIndexes } from "../../../shared/contact/name-index.ts"
import { PROVIDERS } from "../../../shared/domain/facts.ts"
import { grantsAccess } from "../../../shared/domain/scoring/features/access.ts"
import { RISK_LEVELS } from "../../../shared/domain/scoring/health.ts"
import { type CompanySettings, settingsOf } from "../../../shared/domain/settings.ts"
import type { SubscriptionState } from "../../../shared/domain/state.ts"
import { AppError } from "../../platform/errors.ts"
import { isAllowed, withPermission } from "../../platform/http/auth.ts"
import { idText, listOf, pageFields, splitPage, validId, validJson, validQuery } from "../../platform/http/request.ts"
import type { AppEnv, Principal, Services } from "../../platform/services.ts"
import { healthFrom, showAtRisk, showHealth } from "../../scoring/health-view.ts"
import { HOUR_MS, MIN_RESCORE_INTERVAL_MS, scoreCustomers } from "../../scoring/score.ts"
import { showPrediction, showScore, showSummary } from "../../scoring/score-view.ts"
import { stateOf } from "../stream-state.ts"
import { type ContactHolder, decryptContact } from "./customer-contact.ts"

const query = z.lazy(() =>
  z.strictObject({
    ...pageFields,
    provider: z.enum(PROVIDERS).optional(),
    providerCustomerId: idText.optional(),
    riskLevel: z.enum(RISK_LEVELS).optional(),
  }),
)

const scoreQuery = z.strictObject({ fresh: z.enum(["true", "false"]).optional() })

const uuidPage = {
  ...pageFields,
  cursor: pageFields.cursor.refine((position) => position === undefined || z.uuid().safeParse(position.id).success, {
    error: "expected a nextCursor of this list",
  }),
}

/** Customers who share an address; more than one person's subscriptions is rare. */
const SEARCH_MAX = 50

/** An address in any spelling; longer ones are none. */
const address = z.string().min(1).max(320)
/** Longer than the names of people. */
const name = z.string().min(1).max(200)
const searchBody = z
  .strictObject({ email: address.optional(), phone: address.optional(), name: name.optional() })
  .refine(({ email, phone, name: named }) => (email ?? phone ?? named) !== undefined, {
    error: "give an email, a phone or a name",
  })

const emptyBody = z.strictObject({})

export const customers = new Hono<AppEnv>()
  .get("/", withPermission("customers:read"), validQuery(query), async (c) => {
    const { page, filter } = splitPage(c.req.valid("query"))
    return c.json(await listShown(c.get("services"), c.get("principal"), filter, page))
  })
  // In the body, so that no address and no name of a member is in a URL.
  .post("/search", withPermission("contacts:read"), validJson(searchBody), async (c) => {
    const services = c.get("services")
    const principal = c.get("principal")
    const { email = null, phone = null, name: named } = c.req.valid("json")
    const keys = services.config.keys.encryption
    const [addresses, words] = await Promise.all([
      email === null && phone === null ? undefined : addressIndexes(keys, principal.companyId, { email, phone }),
      named === undefined ? undefined : wordIndexes(keys, principal.companyId, named),
    ])
    const page = { limit: SEARCH_MAX, after: null }
    if (addresses?.length === 0 || words?.length === 0) return c.json({ data: [], nextCursor: null })
    return c.json({ ...(await listShown(services, principal, { addresses, words }, page)), nextCursor: null })
  })
  .get("/:id", withPermission("customers:read"), validId(), async (c) => {
    const services = c.get("services")
    const principal = c.get("principal")
    const found = await readCustomer(services.db, principal.companyId, c.req.valid("param").id)
    if (found === null) throw new AppError("NOT_FOUND", "There is no such customer.")
    const { profile, subscriptions, refused } = stateOf(found.stream)
    const { timeZone } = profile
    const details = {
      timeZone,
      subscriptions,
      consents: found.consents,
      score: found.score,
      settings: settingsOf(found.stream),
    }
    const customer = await showCustomer(services, principal, found.stream, details)
    return c.json({
      ...customer,
      quarantine: showQuarantine(found.quarantine, services.now()),
      refused: { cases: refused?.cases ?? 0, subscriptions: refused?.subscriptions ?? 0 },
    })
  })
  .post(
    "/:id/release",
    withPermission("events:replay"),
    validId(),
    validJson(emptyBody, { isOptional: true }),
    async (c) => {
      const { db, log, now } = c.get("services")
      const { companyId, keyId } = c.get("principal")
      const name = c.req.valid("param").id
      const customer = (await findCustomers(db, companyId, [name])).get(name)
      if (customer === undefined) throw new AppError("NOT_FOUND", "There is no such customer.")
      const isReleased = await releaseQuarantine(db, companyId, customer.id, now())
      if (isReleased) log.info("quarantine_released", { companyId, customerId: customer.id, keyId })
      return c.json({ id: customer.id, isReleased })
    },
  )
  .get("/:id/score", withPermission("scores:read"), validId(), validQuery(scoreQuery), async (c) => {
    const services = c.get("services")
    const { fresh } = c.req.valid("query")
    const { id } = c.req.valid("param")
    const request = { trigger: "request", ageMsMax: fresh === "true" ? MIN_RESCORE_INTERVAL_MS : HOUR_MS } as const
    const scored = (await scoreCustomers(services, c.get("principal").companyId, [id], request)).get(id)
    if (scored === undefined) throw new AppError("NOT_FOUND", "There is no such customer.")
    return c.json(showScore(services, scored))
  })
  .get("/:id/scores", withPermission("scores:read"), validId(), validQuery(z.strictObject(uuidPage)), async (c) => {
    const { db } = c.get("services")
    const { companyId } = c.get("principal")
    const { page } = splitPage(c.req.valid("query"))
    const name = c.req.valid("param").id
    const [customers, found] = await Promise.all([
      findCustomers(db, companyId, [name]),
      listPredictions(db, companyId, customerNamed(name), page),
    ])
    if (!customers.has(name)) throw new AppError("NOT_FOUND", "There is no such customer.")
    return c.json(listOf(found, showPrediction))
  })
  .get("/:id/milestones", withPermission("customers:read"), validId(), async (c) => {
    const { db } = c.get("services")
    const { companyId } = c.get("principal")
    const name = c.req.valid("param").id
    const customer = (await findCustomers(db, companyId, [name])).get(name)
    if (customer === undefined) throw new AppError("NOT_FOUND", "There is no such customer.")
    const rows = await milestonesOf(db, companyId, customer.id)
    // A customer reaches at most those of the settings, current and past: less than a page.
    return c.json({ data: rows.map(showMilestone), nextCursor: null })
  })

/** A page of customers as the caller may see them. */
async function listShown(services: Services, principal: Principal, filter: CustomerFilter, page: PageRequest) {
  const { companyId } = principal
  const [found, stored] = await Promise.all([
    listCustomers(services.db, companyId, filter, page),
    readSettings(services.db, companyId),
  ])
  const settings = settingsOf({ settings: stored })
  const rows = await Promise.all(
    found.rows.map((row) => {
      const { sealedContact, wrappedDataKey } = row
      const stream = { companyId, customer: row, sealedContact, wrappedDataKey }
      return showCustomer(services, principal, stream, { ...row, subscriptions: row.subscriptions ?? {}, settings })
    }),
  )
  return listOf({ ...found, rows }, (row) => row)
}

/** A current quarantine; null for a past one. */
function showQuarantine(quarantine: NonNullable<Awaited<ReturnType<typeof readCustomer>>>["quarantine"], now: Date) {
  if (quarantine === null || quarantine.endsAt <= now) return null
  const { reason, since, endsAt } = quarantine
  return { reason, since: since.toISOString(), endsAt: endsAt.toISOString() }
}

const showMilestone = ({ key, kind, detail, reachedAt, recordedAt, announcement }: MilestoneRow) => ({
  ...{ id: key, kind, detail, reachedAt: reachedAt.toISOString(), recordedAt: recordedAt.toISOString() },
  announcement,
})

/** A customer in the API's format; name and e-mail are null for roles that may not see them. */
async function showCustomer(
  services: Services,
  { role, companyId }: Principal,
  stream: ContactHolder & { readonly customer: Pick<CustomerRow, "id" | "provider" | "providerCustomerId"> },
  known: {
    readonly timeZone: string | null
    readonly subscriptions: Readonly<Record<string, SubscriptionState>>
    readonly consents: readonly ConsentRow[]
    readonly score: ScoreRow | null
    readonly settings: CompanySettings
  },
) {
  const contact = isAllowed(role, "contacts:read")
    ? await decryptContact(services.config.keys.encryption, stream)
    : null
  const { id, provider, providerCustomerId } = stream.customer
  const subscriptions = Object.values(known.subscriptions)
  // A customer without access has already left.
  const score = subscriptions.some(grantsAccess) ? known.score : null
  const health = healthFrom(score, known.settings)
  const [summary, atRisk] = [showSummary(services, score), showAtRisk(health)]
  return {
    ...{ id, companyId, provider, providerCustomerId },
    name: contact?.name ?? null,
    email: contact?.email ?? null,
    timeZone: known.timeZone,
    subscriptions,
    score: summary && { ...summary, ...(atRisk && { riskLevel: atRisk.level }) },
    health: showHealth(score, health),
    atRisk,
    consents: known.consents.map((consent) => ({ ...consent, changedAt: new Date(consent.changedAt).toISOString() })),
  }
}
