/** The team's message about milestones. It names customers by our ids, so that it contains no personal data. */
import type { MilestoneRow } from "../../db/queries/interventions/milestones.ts"
import type { Message } from "../../shared/channel.ts"
import { renderTeamAlert } from "../../shared/domain/messaging/messages.ts"

/** One message about all these milestones. */
export function announcementOf(rows: readonly Pick<MilestoneRow, "customerId" | "kind" | "detail">[]): Message {
  const rendered = renderTeamAlert({
    severity: "P3",
    state: "firing",
    title: rows.length === 1 ? "A customer reached a milestone" : `${rows.length} milestones reached`,
    lines: rows.map((row) => `${row.customerId}: ${textOf(row)}`),
    link: null,
  })
  return { to: "", ...rendered, unsubscribeUrl: null }
}

function textOf({ kind, detail }: Pick<MilestoneRow, "kind" | "detail">): string {
  if (kind === "first_payment") return "first payment"
  if ("days" in detail) return `a customer for ${detail.days} days`
  return "meter" in detail ? `${detail.total} ${detail.meter} in all` : kind
}
