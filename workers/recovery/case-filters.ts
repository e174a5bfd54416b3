/** The filters and the order of the list of cases, as its query and saved views have them. */
import * as z from "zod"
import { PROVIDERS } from "../../shared/domain/facts.ts"
import { CASE_SORTS, CASE_STATUSES, type CaseSort, canSortCases } from "../../shared/domain/recovery/case-sorts.ts"
import { MEMBER_CHANNELS } from "../../shared/domain/settings.ts"
import type { CaseKind, CaseStatus } from "../../shared/domain/state.ts"
import { currencyText, idText } from "../platform/http/request.ts"

const KINDS = ["payment", "cancellation", "at_risk"] as const satisfies CaseKind[]

export const caseFilters = {
  status: z.enum(CASE_STATUSES).optional(),
  kind: z.enum(KINDS).optional(),
  provider: z.enum(PROVIDERS).optional(),
  customerId: idText.optional(),
  subscriptionId: idText.optional(),
  invoiceId: idText.optional(),
  declineCode: idText.optional(),
  cause: idText.optional(),
  currency: currencyText.optional(),
  /** Of a message that was sent. */
  channel: z.enum(MEMBER_CHANNELS).optional(),
  amountMinorMin: z
    .string()
    .regex(/^\d{1,15}$/, "expected an amount in minor units")
    .optional(),
  openedFrom: z.iso.date().optional(),
  openedTo: z.iso.date().optional(),
  heldOut: z
    .enum(["true", "false"])
    .transform((text) => text === "true")
    .optional(),
  sort: z.enum(CASE_SORTS).optional(),
}

/** Refuses an order in which cases of the filter's status cannot be listed. */
export const hasFittingSort = (query: {
  readonly sort?: CaseSort | undefined
  readonly status?: CaseStatus | undefined
}): boolean => canSortCases(query.sort ?? "opened", query.status)

export const SORT_EXPECTED = {
  path: ["sort"],
  error: "expected `amount` only with `status=open`, and `closed` only with another status",
}
