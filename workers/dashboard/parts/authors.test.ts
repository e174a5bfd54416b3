import { expect, test } from "vitest"
import type { DashboardContext } from "../page.tsx"
import { authorNames } from "./authors.ts"

const ANSWERS: Readonly<Record<string, object>> = {
  "GET /api/people": {
    data: [
      { id: "p1", email: "ann@example.com" },
      { id: "p2", email: null },
    ],
  },
  "GET /api/keys": { data: [{ id: "k1", name: "Nightly export" }] },
}

const IDS = ["person:p1", "person:p2", "person:other", "k1", "k2", "admin", null]

/** What somebody with this key sees of the authors, and which lists were asked for. */
async function seenBy(keyId: string, isAdmin: boolean) {
  const asked: string[] = []
  const variables: Readonly<Record<string, unknown>> = {
    viewer: { principal: { keyId }, can: () => isAdmin },
    ask: async (name: string) => {
      asked.push(name)
      return ANSWERS[name]
    },
  }
  const nameOf = await authorNames({ get: (name: string) => variables[name] } as unknown as DashboardContext)
  return { asked, names: IDS.map(nameOf) }
}

test("who may list people and keys sees their names, and of others the kind", async () => {
  expect((await seenBy("k2", true)).names).toEqual([
    ...["ann@example.com", "a person of the company", "a person of the company"],
    ...["Nightly export", "you", "the operator", "–"],
  ])
})

test("others see only themselves, and nothing is asked for", async () => {
  const { names, asked } = await seenBy("person:p1", false)
  expect(names).toEqual([
    ...["you", "a person of the company", "a person of the company"],
    ...["an API key", "an API key", "the operator", "–"],
  ])
  expect(asked).toEqual([])
})
