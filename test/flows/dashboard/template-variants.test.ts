/** The pages of templates: drafts fill the form, and comparisons are started and ended without losing what was typed. */
import { beforeEach, expect, test } from "vitest"
import { newApiKey } from "../../support/actions/companies.ts"
import { decoded, signedInWith } from "../../support/actions/dashboard.ts"
import { api, reset, world } from "../../support/world/world.ts"

beforeEach(reset)

const WORDS = { subject: "{brand} needs a new card" }

async function addTemplate(): Promise<string> {
  const { body } = await api<{ id: string }>("/api/templates", {
    method: "POST",
    body: JSON.stringify({ caseKind: "payment", words: WORDS }),
    headers: { "content-type": "application/json" },
  })
  return body.id
}

const template = async (id: string) =>
  (
    await api<{ version: number; words: object; experiment: { variants: { name: string }[] } | null }>(
      `/api/templates/${id}`,
    )
  ).body

const VARIANT = { "name-0": "short", "weight-0": "2", "subject-0": "Short words", controlWeight: "1", version: "1" }

test("a comparison is started and ended, and the page says where it stands", async () => {
  const id = await addTemplate()
  const path = `/dashboard/templates/${id}/variants`
  const manager = await signedInWith(await newApiKey("success-manager"))
  const before = decoded((await manager.get(path)).html)
  expect(before).toContain("Start a comparison")
  expect(before).toContain(WORDS.subject)

  expect((await manager.post(path, { ...VARIANT, step: "start" })).html).toContain("The comparison has started.")
  expect((await template(id)).experiment?.variants).toMatchObject([{ name: "short" }])
  const running = decoded((await manager.get(path)).html)
  for (const text of ["Comparison under way", "67%", "33%", "Short words", "End, and use “short”"]) {
    expect(running).toContain(text)
  }
  expect(decoded((await manager.get(`/dashboard/templates/${id}`)).html)).toContain("being compared with variants")
  expect(decoded((await manager.get("/dashboard/interventions")).html)).toContain("Variants of a template")

  const ended = await manager.post(path, { version: "2", promote: "short", step: "end" })
  expect(ended.html).toContain("The comparison has ended.")
  expect(await template(id)).toMatchObject({ version: 3, words: { subject: "Short words" }, experiment: null })
})

test("what the API refuses is said above the form, with what was typed", async () => {
  const id = await addTemplate()
  const path = `/dashboard/templates/${id}/variants`
  const operator = await signedInWith(world().adminApiKey)
  const typed = { ...VARIANT, "ask-0": "Pay at https://evil.example", "opening-0": "A long text that took time" }
  const refused = decoded((await operator.post(path, { ...typed, step: "start" })).html)
  expect(refused).toContain("The words of the variant “short” cannot be used")
  expect(refused).toContain("A long text that took time")
  expect((await template(id)).experiment).toBeNull()
})

test("a draft fills the form of a variant, and of the template; a refusal leaves both as they were", async () => {
  const id = await addTemplate()
  const path = `/dashboard/templates/${id}`
  const operator = await signedInWith(world().adminApiKey)
  const shown = async (at: string, form: Readonly<Record<string, string>>) =>
    decoded((await operator.post(at, form)).html)

  const draft = await shown(`${path}/variants`, { ...VARIANT, voice: "warm", step: "suggest-1" })
  expect(draft).toContain("This is a draft of local/stand-in. Nothing is saved")
  expect(draft).toContain("A quick note: {brand} needs a new card")
  expect(draft).toContain("Short words")

  const form = { version: "1", subject: "Typed words", voice: "warm" }
  expect(await shown(path, { ...form, step: "suggest" })).toContain("A quick note: Typed words")
  const refused = await shown(path, { ...form, voice: "stand-in:refusal", step: "suggest" })
  expect(refused).toContain("The model declined to write these words.")
  expect(refused).toContain("Typed words")
  expect(await shown("/dashboard/templates", { caseKind: "payment", ...form, step: "suggest" })).toContain(
    "A quick note: Typed words",
  )
  expect(await template(id)).toMatchObject({ version: 1, words: WORDS, experiment: null })
})
