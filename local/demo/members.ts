/** The members of the demo's companies: their data, prices and roles in the simulation. */
import type { ProviderName } from "../../shared/domain/facts.ts"
import type { Random } from "./random.ts"

/** What a member pays per period. */
export interface Price {
  readonly id: string
  readonly amountMinor: number
  readonly currency: string
  readonly interval: "month" | "year"
}

/** Why a payment is refused: the code, and the message of providers without codes. */
export interface Decline {
  readonly code: string
  readonly message: string
}

/** How a failed renewal continues. */
export type PaymentFailurePlan =
  | "retry_works"
  | "late_retry_works"
  | "paid_at_once"
  | "clicks_and_pays"
  | "clicks_late_and_pays"
  | "clicks_only"
  | "unsubscribes"
  | "unsubscribes_and_pays"
  | "paid_elsewhere"
  | "card_is_updated"
  | "never_pays"

/** How a scheduled cancellation continues. */
export type CancellationPlan = "stays_after_all" | "ends" | "still_there"

/** How a member whose usage falls continues. */
export type FadingPlan = "returns" | "leaves" | "fades_on"

export type MemberRole =
  | { readonly kind: "steady" }
  | { readonly kind: "fades"; readonly fadingPlan: FadingPlan }
  | {
      readonly kind: "fails"
      readonly failurePlan: PaymentFailurePlan
      readonly decline: Decline
      readonly isDisputed: boolean
    }
  | { readonly kind: "leaves"; readonly cancellationPlan: CancellationPlan }
  | { readonly kind: "new" }
  | { readonly kind: "trial"; readonly converts: boolean; readonly decline: Decline }
  | { readonly kind: "never_paid"; readonly decline: Decline }

/** Two API versions with very different objects: before and after 2025-03-31 (basil). */
export type StripeVersion = "2020-08-27" | "2026-10-28.endive"

export interface Member {
  readonly number: number
  readonly provider: ProviderName
  readonly stripeVersion: StripeVersion
  readonly customerId: string
  readonly subscriptionId: string
  readonly name: string
  readonly email: string | null
  readonly phone: string | null
  readonly locale: string | null
  readonly timeZone: string | null
  readonly price: Price
  /** The day of the demo on which they signed up; negative for earlier members. */
  readonly signUpDay: number
  readonly role: MemberRole
}

const month = (id: string, amountMinor: number, currency: string): Price => ({
  ...{ id, amountMinor, currency },
  interval: "month",
})
const year = (id: string, amountMinor: number, currency: string): Price => ({
  ...month(id, amountMinor, currency),
  interval: "year",
})

const STRIPE_PRICES: readonly Price[] = [
  month("price_basic_usd", 2_900, "usd"),
  month("price_basic_eur", 1_900, "eur"),
  month("price_pro_gbp", 4_900, "gbp"),
  month("price_basic_jpy", 1_980, "jpy"),
  month("price_team_usd", 11_900, "usd"),
  year("price_year_usd", 29_000, "usd"),
  year("price_year_eur", 19_000, "eur"),
]
/** Members whose usage falls have larger plans, for whom contact is worth its cost. */
const FADING_PRICES: readonly Price[] = [month("price_pro_gbp", 4_900, "gbp"), month("price_team_usd", 11_900, "usd")]
const WHOP_PRICES: readonly Price[] = [
  month("plan_signals_usd", 1_999, "usd"),
  month("plan_signals_eur", 2_450, "eur"),
  month("plan_signals_gbp", 1_795, "gbp"),
  month("plan_signals_jpy", 1_500, "jpy"),
]

const FIRST_NAMES =
  "Ada Bruno Chiara Dmitri Elif Farid Greta Hiro Ines Jonas Keiko Lucia Marek Nadia Oscar Priya Quentin Rosa Sven Tamar Uma Victor Wanda Yusuf Zoe".split(
    " ",
  )
const LAST_NAMES =
  "Abe Berg Conti Dubois Eriksen Fischer Garcia Haas Ito Jansen Kaya Lindt Moreau Novak Okafor Park Rossi Sato Torres Weiss".split(
    " ",
  )

/** Pairs of language and time zone; for most members companies know neither. */
const PLACES: readonly { readonly locale: string | null; readonly timeZone: string | null }[] = [
  { locale: null, timeZone: null },
  { locale: "en", timeZone: null },
  { locale: "de-DE", timeZone: "Europe/Berlin" },
  { locale: "fr-FR", timeZone: "Europe/Paris" },
  { locale: "es-ES", timeZone: null },
  { locale: "en-US", timeZone: "America/Los_Angeles" },
  { locale: "ja-JP", timeZone: "Asia/Tokyo" },
]

const DECLINES: readonly Decline[] = [
  { code: "insufficient_funds", message: "Your card has insufficient funds." },
  { code: "insufficient_funds", message: "Your card has insufficient funds." },
  { code: "expired_card", message: "Your card has expired." },
  { code: "generic_decline", message: "Your card was declined." },
  { code: "do_not_honor", message: "The bank answered: do not honor." },
  { code: "incorrect_cvc", message: "Your card's security code is incorrect." },
  { code: "processing_error", message: "An error occurred while processing your card." },
  { code: "stolen_card", message: "The card was reported stolen." },
]

const PAYMENT_FAILURE_PLANS: readonly PaymentFailurePlan[] = [
  "clicks_and_pays",
  "clicks_and_pays",
  "clicks_late_and_pays",
  "retry_works",
  "retry_works",
  "late_retry_works",
  "paid_at_once",
  "never_pays",
  "never_pays",
  "clicks_only",
  "unsubscribes",
  "unsubscribes_and_pays",
  "paid_elsewhere",
  "card_is_updated",
]

type RoleKind = MemberRole["kind"]
const ROLES: readonly RoleKind[] = [
  ...Array<RoleKind>(11).fill("fails"),
  ...Array<RoleKind>(5).fill("steady"),
  ...Array<RoleKind>(3).fill("fades"),
  ...Array<RoleKind>(4).fill("leaves"),
  ...Array<RoleKind>(4).fill("new"),
  ...Array<RoleKind>(2).fill("trial"),
  "never_paid",
]

/** How a member can be reached: by e-mail, by e-mail and phone, or otherwise. */
type Reach = "email" | "both" | "other"

/** What the members of a company have in common. */
export interface MemberGroup {
  /** Makes the ids and addresses of a run and company unique. */
  readonly stamp: string
  readonly count: number
  readonly days: number
  /** One of the list per member, each equally often. */
  readonly providers: readonly ProviderName[]
  /** Whether all have an e-mail address and nothing else: the company has no other channel. */
  readonly isByEmailOnly: boolean
}

/** Creates the members. */
export function makeMembers(random: Random, group: MemberGroup): Member[] {
  const { stamp, count, days } = group
  const reaches: readonly Reach[] = group.isByEmailOnly
    ? ["email"]
    : ["email", "email", "email", "email", "email", "both", "other"]
  const deck = {
    role: random.deck(ROLES),
    provider: random.deck(group.providers),
    version: random.deck<StripeVersion>(["2020-08-27", "2026-10-28.endive"]),
    stripePrice: random.deck(STRIPE_PRICES),
    fadingPrice: random.deck(FADING_PRICES),
    whopPrice: random.deck(WHOP_PRICES),
    place: random.deck(PLACES),
    decline: random.deck(DECLINES),
    failurePlan: random.deck(PAYMENT_FAILURE_PLANS),
    isDisputed: random.deck([true, false, false, false]),
    cancellationPlan: random.deck<CancellationPlan>(["stays_after_all", "ends", "still_there"]),
    fadingPlan: random.deck<FadingPlan>(["returns", "leaves", "fades_on"]),
    converts: random.deck([true, true, false]),
    reach: random.deck(reaches),
  }

  function makeRole(kind: RoleKind): MemberRole {
    switch (kind) {
      case "fails":
        return { kind, failurePlan: deck.failurePlan(), decline: deck.decline(), isDisputed: deck.isDisputed() }
      case "leaves":
        return { kind, cancellationPlan: deck.cancellationPlan() }
      case "fades":
        return { kind, fadingPlan: deck.fadingPlan() }
      case "trial":
        return { kind, converts: deck.converts(), decline: deck.decline() }
      case "never_paid":
        return { kind, decline: deck.decline() }
      default:
        return { kind }
    }
  }

  return Array.from({ length: count }, (_, index) => {
    const number = index + 1
    const id = `${stamp}${String(number).padStart(4, "0")}`
    const role = makeRole(deck.role())
    const isFading = role.kind === "fades"
    const provider = isFading ? "stripe" : deck.provider()
    const reach = deck.reach()
    const [first, last] = [random.pick(FIRST_NAMES), random.pick(LAST_NAMES)]
    const price = isFading ? deck.fadingPrice() : provider === "stripe" ? deck.stripePrice() : deck.whopPrice()
    const isOld = ["steady", "fails", "leaves", "fades"].includes(role.kind)
    return {
      number,
      provider,
      stripeVersion: deck.version(),
      customerId: provider === "stripe" ? `cus_${id}` : `user_${id}`,
      subscriptionId: provider === "stripe" ? `sub_${id}` : `mem_${id}`,
      name: `${first} ${last}`,
      email: reach === "other" ? null : `${first}.${last}.${id}@example.com`.toLowerCase(),
      // A block of numbers that is reserved for fiction.
      phone: reach === "email" ? null : `+1202555${String(100 + (index % 100)).padStart(4, "0")}`,
      ...deck.place(),
      price,
      // A member who leaves does so some days before the bill.
      signUpDay: isOld
        ? random.int(role.kind === "leaves" ? 11 : 1, 29) - periodDaysOf(price)
        : random.int(0, Math.max(0, days - 2)),
      role,
    }
  })
}

/** Days from one bill to the next in this demo. */
export const periodDaysOf = ({ interval }: Price): number => (interval === "year" ? 365 : 30)
