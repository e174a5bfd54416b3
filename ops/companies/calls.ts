/** Calls of a deployment's API about companies. */
import { z } from "zod"
import { callApi, type Deployment } from "../deployment.ts"

const account = z.object({ provider: z.string(), accountId: z.string() })
export type Account = z.infer<typeof account>

const company = z.object({
  id: z.string(),
  name: z.string(),
  accounts: z.array(account),
  createdAt: z.string(),
  closedAt: z.string().nullable(),
  closedBy: z.string().nullable(),
})
export type Company = z.infer<typeof company>

const onboarding = z.object({
  isDone: z.boolean(),
  items: z.array(z.object({ item: z.string(), isDone: z.boolean(), at: z.string().nullable(), how: z.string() })),
})

/** A company with its checklist. */
export type CompanyWithChecklist = Company & { readonly onboarding: z.infer<typeof onboarding> }

const page = z.object({ data: z.array(company), nextCursor: z.string().nullable() })

const pathOf = (id: string, rest = ""): string => `/api/companies/${encodeURIComponent(id)}${rest}`

/** All companies, page by page. */
export async function listCompanies(deployment: Deployment): Promise<readonly Company[]> {
  const all: Company[] = []
  let cursor: string | null = null
  do {
    const after: string = cursor === null ? "" : `&cursor=${cursor}`
    const read: z.infer<typeof page> = await callApi(deployment, "GET", `/api/companies?limit=200${after}`, page)
    all.push(...read.data)
    cursor = read.nextCursor
  } while (cursor !== null)
  return all
}

/** One company with its checklist. */
export async function showCompany(deployment: Deployment, id: string): Promise<CompanyWithChecklist> {
  const found = await callApi(deployment, "GET", pathOf(id), company)
  return { ...found, onboarding: await callApi(deployment, "GET", pathOf(id, "/onboarding"), onboarding) }
}

/** Adds a company. */
export const addCompany = (
  deployment: Deployment,
  added: { readonly id: string; readonly name: string; readonly accounts: readonly Account[] },
): Promise<Company> => callApi(deployment, "POST", "/api/companies", company, added)

/** Renames a company, adds and removes accounts. */
export const changeCompany = (
  deployment: Deployment,
  id: string,
  change: {
    readonly name?: string
    readonly addAccounts: readonly Account[]
    readonly removeAccounts: readonly Account[]
  },
): Promise<Company> => callApi(deployment, "PUT", pathOf(id), company, change)

/** Closes or opens a company. */
export const setClosed = (deployment: Deployment, id: string, verb: "close" | "open"): Promise<Company> =>
  callApi(deployment, "POST", pathOf(id, `/${verb}`), company)
