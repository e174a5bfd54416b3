/**
 * The two companies of the demo, and how a company is set up: by the public API alone, as an operator and its people do. The
 * first uses the deployment's accounts; the second has an account, a sender, a Slack channel, a domain and words of its own.
 */
import { randomBytes } from "node:crypto"
import { z } from "zod"
import { PROVIDERS, type ProviderName } from "../../shared/domain/facts.ts"
import { askApi, callApi, ownKeysOf, type World } from "./http.ts"

/** What a company has of its own, all under one name. */
export interface OwnAccounts {
  /** The name of its accounts in the local world. */
  readonly account: string
  /** `Name <address>`; the domain is authenticated at SendGrid's replacement where it is `<account>.example`. */
  readonly sender: string
  /** Where its links lead; nobody resolves it, so members of the demo ask the Worker itself. */
  readonly linkDomain: string
}

/** How a company is set up. */
export interface CompanyProfile {
  readonly id: string
  readonly name: string
  /** Null: it uses the deployment's. */
  readonly own: OwnAccounts | null
  readonly settings: Readonly<Record<string, unknown>>
  /** A sentence of its own in each of its messages; null: the shipped words. */
  readonly motto: string | null
  /** Who signs in for it. */
  readonly people: readonly string[]
}

/** A company that is set up, and how its providers reach it. */
export interface DemoCompany {
  readonly profile: CompanyProfile
  /** The world with calls about this company. */
  readonly world: World
  readonly providers: readonly ProviderName[]
  /** Where a provider posts its webhooks, and what signs them. */
  readonly endpoint: (provider: ProviderName) => { readonly url: string; readonly secret: string }
}

/** A quarter of the cases is held out, to have some in a month; the last message of a payment and the second of a cancellation come with an offer. */
const FIRST_SETTINGS = {
  supportEmail: "help@churn-saver.example",
  holdoutPercentage: 25,
  alertTeam: true,
  playbooks: {
    payment: [{ day: 0 }, { day: 2 }, { day: 4, incentive: { kind: "discount", percentOff: 20, months: 2 } }],
    cancellation: [{ day: 0 }, { day: 2, incentive: { kind: "discount", percentOff: 30, months: 3 } }],
    at_risk: [{ day: 0 }],
  },
}

/** The world's first company. */
export const firstCompany = (id: string): CompanyProfile => ({
  id,
  name: "Demo Company",
  own: null,
  settings: FIRST_SETTINGS,
  motto: null,
  people: [],
})

/** A company that is added beside it. */
export const SECOND_COMPANY: CompanyProfile = {
  id: "harbor_yoga",
  name: "Harbor Yoga",
  own: { account: "harbor", sender: "Harbor Yoga <hello@harbor.example>", linkDomain: "pay.harbor.example" },
  settings: {
    brandName: "Harbor Yoga",
    supportEmail: "hello@harbor.example",
    alertTeam: true,
    playbooks: { payment: [{ day: 0 }, { day: 3 }], cancellation: [{ day: 0 }], at_risk: [{ day: 0 }] },
  },
  motto: "We hope to see you on the mat again.",
  people: ["studio@harbor.example"],
}

/** What a message asks for, before the company's sentence. */
const ASKS = {
  payment: "Please look at your payment details on the next page; it takes a minute.",
  cancellation: "Should you change your mind, you can keep your membership on the next page.",
  at_risk: "Your membership is waiting for you.",
} as const
const templates = z.object({ data: z.array(z.unknown()) })

/** Sets a company up; what is there already stays. */
export async function setUpCompany(world: World, profile: CompanyProfile): Promise<DemoCompany> {
  const own = { ...world, companyId: profile.id }
  if (profile.own !== null) {
    // A call about a company that does not exist yet would be refused.
    const { id, name } = profile
    await callApi(world, "/api/companies", { method: "POST", body: { id, name, sharedKinds: [] }, accepts: 409 })
    await addCredentials(own, profile.own)
  }
  await callApi(own, "/api/settings", { method: "PUT", body: profile.settings })
  const { motto } = profile
  if (motto !== null && (await askApi(own, "/api/templates", templates)).data.length === 0) {
    for (const [caseKind, ask] of Object.entries(ASKS)) {
      const words = { ask: `${ask} ${motto}`, short: `${ask} ${motto}` }
      await callApi(own, "/api/templates", { method: "POST", body: { caseKind, words } })
    }
  }
  for (const email of profile.people) {
    await callApi(own, "/api/people", { method: "POST", body: { email, role: "success-manager" }, accepts: 409 })
  }
  if (profile.own === null) return { profile, world: own, providers: PROVIDERS, endpoint: deploymentEndpoint(own) }
  return { profile, world: own, providers: ["stripe"], endpoint: await ownEndpoint(own) }
}

async function addCredentials(world: World, own: OwnAccounts): Promise<void> {
  const keys = await ownKeysOf(world, own.account)
  const credentials = {
    stripe: { apiKey: keys.stripeApiKey },
    sendgrid: { apiKey: keys.sendgridApiKey, from: own.sender },
    slack: { webhookUrl: keys.slackWebhookUrl },
    "link-domain": { domain: own.linkDomain },
  }
  for (const [kind, body] of Object.entries(credentials)) {
    await callApi(world, `/api/credentials/${kind}`, { method: "PUT", body })
  }
}

const deploymentEndpoint =
  ({ workerUrl, secrets }: World): DemoCompany["endpoint"] =>
  (provider) => ({ url: `${workerUrl}/api/webhooks/${provider}`, secret: secrets[provider] })

/** An endpoint of the company's own at Stripe, with a new secret. */
async function ownEndpoint(world: World): Promise<DemoCompany["endpoint"]> {
  const secret = `whsec_${randomBytes(24).toString("hex")}`
  await callApi(world, "/api/secrets/webhooks", {
    method: "POST",
    body: { provider: "stripe", secret, overlapHours: 0 },
  })
  return (provider) => ({ url: `${world.workerUrl}/api/webhooks/${provider}/${world.companyId}`, secret })
}
