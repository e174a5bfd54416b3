/** Who saved something, in words: answers have the ids of keys and people. */
import type { DashboardContext } from "../page.tsx"

/** The name of who has an id. */
export type AuthorName = (id: string | null) => string

/** The deployment's own key. */
const OPERATOR = "admin"

const PERSON = /^person:(.+)$/

/**
 * Names of the company's people and keys, for who may list them; others see who they are themselves, and of the rest the kind.
 * Ids of other companies and of operators have no name here.
 */
export async function authorNames(c: DashboardContext): Promise<AuthorName> {
  const ask = c.get("ask")
  const { can, principal } = c.get("viewer")
  const [people, keys] = await Promise.all([
    can("people:read") ? ask("GET /api/people") : null,
    can("keys:read") ? ask("GET /api/keys") : null,
  ])
  const names = new Map<string, string>([
    ...(people?.data ?? []).flatMap(({ id, email }) => (email === null ? [] : [[`person:${id}`, email] as const])),
    ...(keys?.data ?? []).map(({ id, name }) => [id, name] as const),
    [OPERATOR, "the operator"],
  ])
  return (id) => {
    if (id === null) return "–"
    const isYou = id === principal.keyId && id !== OPERATOR
    return names.get(id) ?? (isYou ? "you" : PERSON.test(id) ? "a person of the company" : "an API key")
  }
}
