/** The sign-in link that `npm start` and the demo print. */
import { beforeEach, expect, test } from "vitest"
import { LOCAL_ADMIN, makeSignInLink } from "../../../local/sign-in-link.ts"
import { visitor } from "../../support/actions/dashboard.ts"
import { mailbox, reset, world } from "../../support/world/world.ts"

beforeEach(reset)

const link = (): Promise<string | null> => {
  const { adminApiKey: apiKey, companyId, workerUrl } = world()
  const readMail = async () => (await mailbox()).filter(({ to }) => to === LOCAL_ADMIN).map(({ body }) => body)
  return makeSignInLink({ apiKey, companyId, workerUrl, readMail })
}

const pathOf = (url: string | null): string => new URL(url ?? "").pathname

test("the link leads to a page whose button signs in as an admin, once", async () => {
  const url = await link()
  expect(url).toContain("http://localhost:")
  const someone = visitor()
  expect((await someone.get(pathOf(url))).html).toContain("Continue to the dashboard")
  expect((await someone.post(pathOf(url))).html).toContain("Sign out")
  expect((await someone.get("/dashboard/people")).html).toContain(LOCAL_ADMIN)
  expect((await someone.get("/dashboard/jobs")).status).toBe(403)
  expect((await visitor().post(pathOf(url))).status).toBe(401)
})

test("each call makes a new link, for the same person", async () => {
  const [first, second] = [await link(), await link()]
  expect(second).not.toBe(first)
  expect((await visitor().post(pathOf(second))).html).toContain("Sign out")
})
