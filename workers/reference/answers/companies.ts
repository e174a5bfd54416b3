/** Answers about companies, their keys and their people. */
import * as z from "zod"
import { CREDENTIAL_KINDS, SHARED_KINDS } from "../../../shared/credentials.ts"
import { ONBOARDING_ITEMS } from "../../../shared/domain/companies/onboarding.ts"
import { CHECK_RESULTS } from "../../companies/check-credentials.ts"
import { type Described, instant, listOf, ok, provider } from "./common.ts"

const company = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    accounts: z.array(z.strictObject({ provider, accountId: z.string() })),
    sharedKinds: z
      .array(z.enum(SHARED_KINDS))
      .describe("For what it may use the deployment's credentials where it has none of its own"),
    createdAt: instant,
    closedAt: instant.nullable().describe("Null: open"),
    closedBy: z.string().nullable(),
  })
  .meta({ id: "Company" })

const keyFields = {
  id: z.string(),
  companyId: z.string().nullable().describe("Null: an operator's key"),
  name: z.string(),
  role: z.enum(["success-analyst", "success-manager", "admin", "operator"]),
  prefix: z.string().nullable().describe("The first characters of the key"),
  createdAt: instant,
  createdBy: z.string().nullable(),
  expiresAt: instant.nullable(),
  revokedAt: instant.nullable(),
  lastUsedAt: instant.nullable().describe("To the hour"),
  isValid: z.boolean(),
}
const key = z.strictObject(keyFields).meta({ id: "ApiKey" })
const newKey = z.strictObject({ ...keyFields, key: z.string().describe("The key itself, shown only in this answer") })
const rotatedKey = z.strictObject({ ...newKey.shape, oldAcceptedUntil: instant })

const personFields = {
  id: z.string(),
  companyId: z.string(),
  email: z.string().nullable().describe("Null once the person was removed"),
  role: z.enum(["success-analyst", "success-manager", "admin"]),
  invitedBy: z.string(),
  createdAt: instant,
  lastSignInAt: instant.nullable(),
  removedAt: instant.nullable(),
}
const person = z.strictObject(personFields).meta({ id: "Person" })

const signIn = z
  .strictObject({
    id: z.string(),
    kind: z.enum(["link_requested", "signed_in", "sign_in_failed", "signed_out"]),
    via: z.enum(["key", "link", "access"]),
    who: z.string().nullable().describe("A key, or `person:` and an id"),
    reason: z.string().nullable(),
    at: instant,
  })
  .meta({ id: "SignIn" })

const credential = z
  .strictObject({
    kind: z.enum(CREDENTIAL_KINDS),
    source: z.enum(["own", "deployment", "none"]),
    shown: z
      .record(z.string(), z.string().nullable())
      .nullable()
      .describe("Accounts and senders; of keys the last four characters"),
    checkResult: z.enum(CHECK_RESULTS).nullable().describe("Null: it cannot be checked"),
    checkedAt: instant.nullable(),
    createdAt: instant.nullable(),
    createdBy: z.string().nullable(),
  })
  .meta({ id: "Credential" })

const listKeys = (whose: string) => ({
  summary: `The API keys of ${whose}, the newest first`,
  answers: ok(listOf(key)),
})
const makeKey = (whose: string) => ({ summary: `Makes an API key of ${whose}`, answers: { 201: { schema: newKey } } })
const rotateKey = {
  summary: "Makes a key of the same name and role; the old one stays valid for an overlap",
  answers: { 201: { schema: rotatedKey } },
}
const revokeKey = { summary: "Revokes a key and its sessions", answers: ok(key) }

export const COMPANIES = {
  "GET /api/companies": { summary: "Companies, the newest first", answers: ok(listOf(company)) },
  "POST /api/companies": { summary: "Adds a company with its accounts", answers: { 201: { schema: company } } },
  "GET /api/companies/:id": { summary: "One company", answers: ok(company) },
  "PUT /api/companies/:id": { summary: "Renames a company, adds and removes accounts", answers: ok(company) },
  "POST /api/companies/:id/close": {
    summary: "Closes a company: no messages, no jobs; deliveries are held for 30 days",
    answers: ok(company),
  },
  "POST /api/companies/:id/open": { summary: "Opens a closed company again", answers: ok(company) },
  "GET /api/companies/:id/onboarding": {
    summary: "The checklist of the company's set-up",
    answers: ok(
      z.strictObject({
        companyId: z.string(),
        isDone: z.boolean(),
        items: z.array(
          z.strictObject({
            item: z.enum(ONBOARDING_ITEMS),
            isDone: z.boolean(),
            at: instant.nullable().describe("When it was done, where that is known"),
            how: z.string().describe("What is there, or what to do"),
          }),
        ),
      }),
    ),
  },
  "POST /api/companies/:id/test-message": {
    summary: "Sends the first message with example data to one of the company's people",
    answers: ok(z.strictObject({ subject: z.string(), text: z.string() })),
  },
  "GET /api/keys": listKeys("the company"),
  "POST /api/keys": makeKey("the company"),
  "POST /api/keys/:id/rotate": rotateKey,
  "DELETE /api/keys/:id": revokeKey,
  "GET /api/operator-keys": listKeys("operators"),
  "POST /api/operator-keys": makeKey("operators"),
  "POST /api/operator-keys/:id/rotate": rotateKey,
  "DELETE /api/operator-keys/:id": revokeKey,
  "GET /api/credentials": {
    summary: "What the company uses at providers and channels: its own, the deployment's, or nothing",
    answers: ok(listOf(credential)),
  },
  "GET /api/credentials/:kind": { summary: "The company's own credential of a kind", answers: ok(credential) },
  "PUT /api/credentials/:kind": {
    summary: "Checks and stores a credential in place of the earlier one",
    answers: ok(credential),
  },
  "POST /api/credentials/:kind/check": { summary: "Checks a stored credential again", answers: ok(credential) },
  "DELETE /api/credentials/:kind": { summary: "Deletes a credential", answers: { 204: {} } },
  "GET /api/people": { summary: "The people of the company, the last invited first", answers: ok(listOf(person)) },
  "POST /api/people": {
    summary: "Invites a person by e-mail address",
    answers: { 201: { schema: z.strictObject({ ...personFields, isInvitationSent: z.boolean() }) } },
  },
  "PUT /api/people/:id": { summary: "Changes a person's role", answers: ok(person) },
  "DELETE /api/people/:id": { summary: "Removes a person, with the address and all sessions", answers: { 204: {} } },
  "GET /api/sign-ins": {
    summary: "Sign-ins, failed ones and sign-outs, the latest first",
    answers: ok(listOf(signIn)),
  },
} as const satisfies Readonly<Record<string, Described>>
