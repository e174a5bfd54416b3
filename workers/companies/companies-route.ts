/**
 * `/api/companies`: an operator adds companies with their accounts, changes, closes and opens them. A company's own people
 * read theirs, and its checklist.
 */
import { type Context, Hono } from "hono"
import * as z from "zod"
import { databaseFailure } from "../../db/client.ts"
import {
  addCompany,
  type Company,
  changeCompany,
  listCompanies,
  readCompany,
} from "../../db/queries/companies/companies.ts"
import { SHARED_KINDS } from "../../shared/credentials.ts"
import { forgetCredentials } from "../platform/credentials.ts"
import { AppError } from "../platform/errors.ts"
import { withPermission } from "../platform/http/auth.ts"
import { listOf, pageFields, splitPage, validId, validJson, validQuery } from "../platform/http/request.ts"
import type { AppEnv } from "../platform/services.ts"
import { setClosed } from "./closing.ts"
import { checklistOf } from "./onboarding.ts"
import { personOf } from "./sessions.ts"
import { sendTestMessage } from "./test-message.ts"

/** A company has one account at each provider, or a few for brands and regions. */
const ACCOUNTS_MAX = 50

const companyId = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, "expected 1 to 64 letters, digits, _ or -")

/** Shown in messages where the company has chosen no other name. */
const companyName = z
  .string()
  .max(200)
  .regex(/^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]*$/u, "expected one line of plain text")
  .transform((name) => name.trim())
  .refine((name) => name !== "", { error: "expected a name" })

const account = z.lazy(() =>
  z.discriminatedUnion("provider", [
    z.strictObject({
      provider: z.literal("stripe"),
      accountId: z.string().regex(/^acct_[A-Za-z0-9_]{1,100}$/, "expected acct_ and an id"),
    }),
    z.strictObject({
      provider: z.literal("whop"),
      accountId: z.string().regex(/^biz_[A-Za-z0-9_]{1,100}$/, "expected biz_ and an id"),
    }),
  ]),
)
const accounts = z.array(account).max(ACCOUNTS_MAX).default([])

/** For what the company may use the deployment's credentials where it has none of its own; null: as it is, first all. */
const sharedKinds = z
  .array(z.enum(SHARED_KINDS))
  .max(SHARED_KINDS.length)
  .transform((kinds) => [...new Set(kinds)])
  .nullable()
  .default(null)

const newCompany = z.strictObject({ id: companyId, name: companyName, accounts, sharedKinds })
const change = z.strictObject({
  ...{ name: companyName.optional(), sharedKinds },
  ...{ addAccounts: accounts, removeAccounts: accounts },
})
const testMessage = z.lazy(() =>
  z.strictObject({
    /** Who gets it; a person who is signed in may leave it out. */
    personId: z.string().min(1).max(100).optional(),
  }),
)

export const companies = new Hono<AppEnv>()
  .get("/", withPermission("companies:list"), validQuery(z.strictObject(pageFields)), async (c) => {
    const { page } = splitPage(c.req.valid("query"))
    return c.json(listOf(await listCompanies(c.get("services").db, page), showCompany))
  })
  .post("/", withPermission("companies:write"), validJson(newCompany), async (c) => {
    const { db, log, now } = c.get("services")
    const company = c.req.valid("json")
    await refusingConflicts(addCompany(db, company, now()))
    log.info("company_added", { companyId: company.id, keyId: c.get("principal").keyId })
    return c.json(showCompany(await existing(c, company.id)), 201)
  })
  .get("/:id", withPermission("companies:read"), validId(companyId), async (c) =>
    c.json(showCompany(await existing(c, ownId(c, c.req.valid("param").id)))),
  )
  .put("/:id", withPermission("companies:write"), validId(companyId), validJson(change), async (c) => {
    const { db, log } = c.get("services")
    const { id } = c.req.valid("param")
    const { name = null, addAccounts, removeAccounts, sharedKinds: shared } = c.req.valid("json")
    const isFound = await refusingConflicts(
      changeCompany(db, id, { name, added: addAccounts, removed: removeAccounts, sharedKinds: shared }),
    )
    if (!isFound) throw noSuchCompany()
    forgetCredentials(id)
    log.info("company_changed", { companyId: id, keyId: c.get("principal").keyId })
    return c.json(showCompany(await existing(c, id)))
  })
  .post("/:id/close", withPermission("companies:write"), validId(companyId), async (c) => {
    const { id } = c.req.valid("param")
    await setClosed(c.get("services"), id, true, c.get("principal").keyId)
    return c.json(showCompany(await existing(c, id)))
  })
  .post("/:id/open", withPermission("companies:write"), validId(companyId), async (c) => {
    const { id } = c.req.valid("param")
    await setClosed(c.get("services"), id, false, c.get("principal").keyId)
    return c.json(showCompany(await existing(c, id)))
  })
  .get("/:id/onboarding", withPermission("companies:read"), validId(companyId), async (c) => {
    const id = ownId(c, c.req.valid("param").id)
    const [items] = await Promise.all([checklistOf(c.get("services"), id), existing(c, id)])
    return c.json({ companyId: id, isDone: items.every(({ isDone }) => isDone), items })
  })
  .post(
    "/:id/test-message",
    withPermission("people:write"),
    validId(companyId),
    validJson(testMessage, { isOptional: true }),
    async (c) => {
      const principal = c.get("principal")
      const company = await existing(c, ownId(c, c.req.valid("param").id))
      const personId = c.req.valid("json").personId ?? personOf(principal)
      if (personId === null) throw new AppError("MALFORMED", "Name the person who gets the message: personId.")
      const message = await sendTestMessage(c.get("services"), { company, personId, by: principal.keyId })
      return c.json(message)
    },
  )

/** The company of a path, if the caller may see it. Throws NOT_FOUND for any other, existing or not. */
function ownId(c: Context<AppEnv>, id: string): string {
  const { role, companyId: own } = c.get("principal")
  if (role !== "operator" && id !== own) throw noSuchCompany()
  return id
}

async function existing(c: Context<AppEnv>, id: string): Promise<Company> {
  const company = await readCompany(c.get("services").db, id)
  if (company === null) throw noSuchCompany()
  return company
}

const noSuchCompany = () => new AppError("NOT_FOUND", "There is no such company.", { reason: "unknown_company" })

async function refusingConflicts<T>(writing: Promise<T>): Promise<T> {
  try {
    return await writing
  } catch (error) {
    if (databaseFailure(error) !== "conflict") throw error
    throw new AppError("CONFLICT", "The id or an account belongs to a company already.", { reason: "company_taken" })
  }
}

const showCompany = ({ createdAt, closedAt, closedBy, ...company }: Company) => ({
  ...company,
  createdAt: createdAt.toISOString(),
  closedAt: closedAt?.toISOString() ?? null,
  closedBy,
})
