/** No automatic reminders of old invoices: a two-year-old bill is for a person to handle. */
import type { CompanySettings } from "../../settings.ts"
import { type CaseState, type CustomerState, paymentOf } from "../../state.ts"

const DAY_MS = 86_400_000

/**
 * True for a payment case whose invoice was older than the company's limit when the case opened. The age at that time
 * counts, so that no playbook stops halfway; an invoice of unknown age is not old.
 */
export function isInvoiceTooOld(
  state: Pick<CustomerState, "payments">,
  { kind, invoiceId, openedAt }: CaseState,
  { invoiceAgeDaysMax }: Pick<CompanySettings, "invoiceAgeDaysMax">,
): boolean {
  if (kind !== "payment") return false
  const issuedAt = paymentOf(state, invoiceId)?.issuedAt
  return issuedAt !== undefined && Date.parse(openedAt) - Date.parse(issuedAt) > invoiceAgeDaysMax * DAY_MS
}
