import { expect, test } from "vitest"
import { DEFAULT_SETTINGS } from "../../settings.ts"
import type { CaseState, PaymentState } from "../../state.ts"
import { isInvoiceTooOld } from "./invoice-age.ts"

const OPENED = "2026-11-30T10:00:00.000Z"
const DAY_MS = 86_400_000
const daysBefore = (days: number) => new Date(Date.parse(OPENED) - days * DAY_MS).toISOString()

// Only what the rule reads.
const stateWith = (issuedAt?: string) => ({
  payments: { in_1: { invoiceId: "in_1", ...(issuedAt && { issuedAt }) } as PaymentState },
})
const caseOf = (kind: CaseState["kind"]) => ({ kind, invoiceId: "in_1", openedAt: OPENED }) as CaseState

test.each([
  ["of two years ago", daysBefore(730), 60, "payment", true],
  ["one day over the limit", daysBefore(61), 60, "payment", true],
  ["at the limit", daysBefore(60), 60, "payment", false],
  ["of today", OPENED, 60, "payment", false],
  ["within a longer limit", daysBefore(61), 90, "payment", false],
  ["of unknown age", undefined, 60, "payment", false],
  ["of a case of another kind", daysBefore(730), 60, "cancellation", false],
] as const)("an invoice %s", (_, issuedAt, invoiceAgeDaysMax, kind, expected) => {
  expect(isInvoiceTooOld(stateWith(issuedAt), caseOf(kind), { ...DEFAULT_SETTINGS, invoiceAgeDaysMax })).toBe(expected)
})
