/** The contents of the database, read in one statement, for the invariants. */

import { parseKeyRing } from "../../../shared/crypto/key-ring.ts"
import type { Fact, FactBody, Instant } from "../../../shared/domain/facts.ts"
import type { CustomerState } from "../../../shared/domain/state.ts"
import { type ContactHolder, decryptContact } from "../../../workers/recovery/customers/customer-contact.ts"
import type { Database } from "./database.ts"
import { secret } from "./targets.ts"

export interface FactRow {
  readonly company_id: string
  readonly id: string
  readonly provider: string
  readonly subject: string
  readonly occurred_at: string
  readonly event_id: string | null
  readonly body: FactBody
}

export interface NudgeState {
  readonly company_id: string
  readonly id: string
  readonly case_id: string
  readonly customer_id: string
  readonly step: number | null
  readonly channel: string
  readonly status: string
  readonly reason: string | null
  readonly due_at: string
  readonly sent_at: string | null
  readonly attempts: number
}

export interface StoredCustomer {
  readonly company_id: string
  readonly id: string
  readonly provider: "stripe" | "whop"
  readonly provider_customer_id: string
  readonly state: CustomerState | null
  readonly sealed: string | null
  readonly wrapped: string | null
}

export interface StoredCase {
  readonly company_id: string
  readonly id: string
  readonly customer_id: string
  readonly status: string
  readonly cause: string | null
  readonly arm: string | null
  readonly holdout_percentage: number | null
}

type Row = Readonly<Record<string, unknown>>

export interface DatabaseState {
  readonly events: readonly {
    readonly company_id: string
    readonly provider: string
    readonly provider_event_id: string
    readonly status: string
    readonly error: string | null
    readonly customer_id: string | null
  }[]
  readonly keys: readonly { readonly company_id: string; readonly provider_event_id: string }[]
  readonly customers: readonly StoredCustomer[]
  readonly facts: readonly FactRow[]
  readonly nudges: readonly NudgeState[]
  readonly cases: readonly StoredCase[]
  readonly payments: readonly Row[]
  readonly subscriptions: readonly Row[]
  readonly links: readonly {
    readonly company_id: string
    readonly provider: string
    readonly object_id: string
    readonly root_id: string
    readonly is_customer: boolean
  }[]
  readonly history: readonly {
    readonly effect: number
    readonly kind: "fact" | "nudge"
    readonly company_id: string
    readonly id: string
    readonly body: Row
  }[]
}

const all = (table: string, order: string, columns = "to_jsonb(t)"): string =>
  `coalesce((SELECT jsonb_agg(${columns} ORDER BY ${order}) FROM ${table} t), '[]')`

const READ = `SELECT jsonb_build_object(
  'events', ${all("webhook_events", "t.provider_event_id, t.company_id", "to_jsonb(t) - 'payload'")},
  'keys', ${all("webhook_event_keys", "t.provider_event_id")},
  'customers', coalesce((SELECT jsonb_agg(jsonb_build_object(
      'company_id', c.company_id, 'id', c.id, 'provider', c.provider, 'provider_customer_id', c.provider_customer_id,
      'state', c.state, 'sealed', encode(p.sealed, 'base64'), 'wrapped', encode(k.wrapped, 'base64')
    ) ORDER BY c.company_id, c.id)
    FROM customers c
    LEFT JOIN customer_pii p ON p.company_id = c.company_id AND p.customer_id = c.id
    LEFT JOIN customer_keys k ON k.company_id = c.company_id AND k.customer_id = c.id), '[]'),
  'facts', ${all("facts", "t.occurred_at, t.rank, t.id")},
  'nudges', ${all("nudges", "t.company_id, t.id")},
  'cases', ${all("recovery_cases", "t.company_id, t.id")},
  'payments', ${all("payments", "t.company_id, t.customer_id, t.invoice_id")},
  'subscriptions', ${all("subscriptions", "t.company_id, t.customer_id, t.id")},
  'links', ${all("object_links", "t.company_id, t.object_id")},
  'history', ${all("simulation.history", "t.effect")}
) AS seen`

/** Reads the database. */
export async function readDatabaseState(database: Database): Promise<DatabaseState> {
  return (await database.readOne<{ seen: DatabaseState }>(READ)).seen
}

/** A row as a fact of the domain. */
export const factOf = ({ id, occurred_at, body }: Pick<FactRow, "id" | "occurred_at" | "body">): Fact => ({
  ...body,
  id,
  occurredAt: instant(occurred_at),
})

export const instant = (text: string): Instant => new Date(text).toISOString()

/** The ledger of a customer: its own facts, and those of objects that were linked to it. */
export function ledgerOf(
  seen: DatabaseState,
  { company_id, provider, provider_customer_id }: StoredCustomer,
): FactRow[] {
  const subjects = new Set([provider_customer_id])
  for (const link of seen.links) {
    if (link.company_id === company_id && link.provider === provider && link.is_customer) {
      if (link.root_id === provider_customer_id) subjects.add(link.object_id)
    }
  }
  return seen.facts.filter(
    (fact) => fact.company_id === company_id && fact.provider === provider && subjects.has(fact.subject),
  )
}

const ring = parseKeyRing(secret("encryption-keys"))

/** All customers, cases and facts that follow from the providers' events, as text; equal for a run without faults. */
export async function describeDatabase(seen: DatabaseState): Promise<string> {
  if (!ring.ok) throw new Error("the simulator's key ring is invalid")
  const customers = []
  for (const customer of seen.customers) {
    const { company_id: companyId, id, state, sealed, wrapped } = customer
    const { outreach: _own, position: _last, ...providerState } = state ?? { outreach: null, position: null }
    const holder: ContactHolder = {
      companyId,
      customer: { id },
      sealedContact: sealed === null ? null : Buffer.from(sealed, "base64"),
      wrappedDataKey: wrapped === null ? null : Buffer.from(wrapped, "base64"),
    }
    customers.push({ companyId, id, providerState, contact: await decryptContact(ring.value, holder) })
  }
  return canonical({
    customers,
    cases: seen.cases.map(({ cause: _cause, arm: _arm, holdout_percentage: _share, ...row }) => row),
    payments: seen.payments,
    subscriptions: seen.subscriptions.map(({ asked_at: _asked, ...row }) => row),
    facts: seen.facts
      .filter(({ event_id }) => event_id !== null)
      // The time of a fetched fact depends on when it was fetched.
      .map(({ company_id, id, occurred_at, body }) => ({
        ...{ company_id, id, body },
        occurred_at: "fetched" in body ? null : occurred_at,
      })),
  })
}

/** The same text for the same value in any order of keys. */
export const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    part !== null && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )
