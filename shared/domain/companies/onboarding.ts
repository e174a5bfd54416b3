/** The checklist of a company's set-up, from what is stored and switched on. */
import type { Instant, ProviderName } from "../facts.ts"

/** As the providers write their names. */
/** What each provider is called on pages. */
export const PROVIDER_NAMES = { stripe: "Stripe", whop: "Whop" } as const satisfies Record<ProviderName, string>

export const ONBOARDING_ITEMS = [
  "provider_connected",
  "sender_verified",
  "postal_address_set",
  "first_message_sent",
  "switches_set",
] as const
export type OnboardingItem = (typeof ONBOARDING_ITEMS)[number]

/** The step that is recorded when it is done; the other items are read from what is there. */
export const FIRST_MESSAGE_SENT = "first_message_sent"

/** From where a company's e-mail is sent; `verifiedAt`: when its service last said that the sender's domain is authenticated. */
export type Sender =
  | { readonly kind: "own"; readonly verifiedAt: Instant | null }
  | { readonly kind: "deployment" | "none" }

export interface OnboardingInput {
  readonly companyId: string
  /** The first verified delivery of each provider. */
  readonly firstDeliveries: readonly { readonly provider: ProviderName; readonly at: Instant }[]
  readonly steps: readonly { readonly step: string; readonly at: Instant }[]
  readonly sender: Sender
  /** The postal address in e-mails: shown, saved and not approved yet, or none. */
  readonly postalAddress: "shown" | "waiting" | "none"
  /** Whether events are processed, and whether messages are sent on schedule. */
  readonly isProcessing: boolean
  readonly isSending: boolean
}

export interface ChecklistEntry {
  readonly item: OnboardingItem
  readonly isDone: boolean
  /** When it was done, where that is known. */
  readonly at: Instant | null
  /** What is there, or what to do, in one sentence. */
  readonly how: string
}

/** All items in the order in which they are done. */
export function checklist(input: OnboardingInput): readonly ChecklistEntry[] {
  return [
    ...[providerConnected(input), senderVerified(input), postalAddressSet(input)],
    ...[firstMessageSent(input), switchesSet(input)],
  ]
}

function providerConnected({ companyId, firstDeliveries }: OnboardingInput): ChecklistEntry {
  const [at = null] = firstDeliveries.map((delivery) => delivery.at).sort()
  const names = firstDeliveries.map(({ provider }) => PROVIDER_NAMES[provider]).join(" and ")
  return {
    item: "provider_connected",
    isDone: at !== null,
    at,
    how:
      at === null
        ? `Add the endpoint /api/webhooks/stripe/${companyId} or /api/webhooks/whop/${companyId} at the provider, store its secret, and send a test event.`
        : `Signed events of ${names} have arrived.`,
  }
}

function senderVerified({ sender }: OnboardingInput): ChecklistEntry {
  const verifiedAt = sender.kind === "own" ? sender.verifiedAt : null
  const how = {
    own:
      verifiedAt === null
        ? "The domain of the company's own sender is not authenticated yet: add its DNS records, then check it again."
        : "The company's own sender is verified.",
    deployment: "Messages are sent from the deployment's sender, which its operator has set up.",
    none: "There is no sender: store one for the company, or let the operator set up the deployment's.",
  }[sender.kind]
  return { item: "sender_verified", isDone: sender.kind === "deployment" || verifiedAt !== null, at: verifiedAt, how }
}

function postalAddressSet({ postalAddress }: OnboardingInput): ChecklistEntry {
  const how = {
    shown: "E-mails show the company's postal address.",
    waiting: "The branding with the postal address waits for an operator's approval.",
    none: "Add the company's postal address to its branding: laws on commercial e-mail require it, such as CAN-SPAM in the United States.",
  }[postalAddress]
  return { item: "postal_address_set", isDone: postalAddress === "shown", at: null, how }
}

function firstMessageSent({ companyId, steps }: OnboardingInput): ChecklistEntry {
  const at = steps.find(({ step }) => step === FIRST_MESSAGE_SENT)?.at ?? null
  return {
    item: "first_message_sent",
    isDone: at !== null,
    at,
    how:
      at === null
        ? `Read the first message and send it to yourself: POST /api/companies/${companyId}/test-message.`
        : "The first message was sent to a person of the company.",
  }
}

function switchesSet({ isProcessing, isSending }: OnboardingInput): ChecklistEntry {
  return {
    item: "switches_set",
    isDone: isProcessing && isSending,
    at: null,
    how: isSending
      ? isProcessing
        ? "Events are processed, and messages are sent."
        : "Messages may be sent, but events are stored and not processed: run `npm run rollout`."
      : isProcessing
        ? "Events are processed, and no messages are sent yet: the next phase is `npm run rollout -- limited`."
        : "Events are stored and not processed: the next phase is `npm run rollout -- dark-launch`.",
  }
}
