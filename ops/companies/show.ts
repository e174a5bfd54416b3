/** Companies as text for people. */
import type { Company, CompanyWithChecklist } from "./calls.ts"

/** A line for each company. */
export const companiesText = (companies: readonly Company[]): string =>
  companies.length === 0 ? "There is no company yet." : companies.map(line).join("\n")

/** One company, and what is left to set up. */
export function companyText(company: CompanyWithChecklist): string {
  if (company.closedAt !== null) return line(company)
  const items = company.onboarding.items.map(
    ({ item, isDone, how }) => `  ${isDone ? "✔" : "✘"} ${item.replaceAll("_", " ")}: ${how}`,
  )
  return [line(company), ...items].join("\n")
}

function line({ id, name, accounts, createdAt, closedAt }: Company): string {
  const state = closedAt === null ? `since ${createdAt.slice(0, 10)}` : `closed ${closedAt.slice(0, 10)}`
  const at = accounts.map(({ provider, accountId }) => `${provider} ${accountId}`).join(", ")
  return `${id}  ${name}  ${state}${at === "" ? "" : `  ${at}`}`
}
