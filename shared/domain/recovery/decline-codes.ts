/**
 * Decline codes: for each code with which a payment can fail, what the member can do. Published lists disagree, so every
 * code has its source; where two sources list the same code, the first one below decides. Mastercard's merchant advice
 * codes are omitted: the same numbers have other meanings as response codes.
 */

/** What a message may ask of a member. */
export const MESSAGE_ACTIONS = ["update_card", "authenticate", "wait_for_funds", "call_bank", "try_again"] as const
export type MemberMessageAction = (typeof MESSAGE_ACTIONS)[number]

/** What a member is asked to do. `silent`: no message, because it could reach a thief or would be of no use. */
export type MemberAction = MemberMessageAction | "silent"

/** One code of the table, in lower case. */
export interface DeclineEntry {
  readonly code: string
  readonly ask: MemberAction
  readonly source: string
}

/** The advice for a code. */
export interface DeclineAdvice {
  readonly ask: MemberAction
  /** False when the provider executes no scheduled retry until there is a new payment method. */
  readonly providerRetries: boolean
  readonly isKnown: boolean
  /** The source of the advice; null for the default of undocumented codes. */
  readonly source: string | null
}

const STRIPE = "docs.stripe.com/declines/codes"
const STRIPE_ERRORS = "docs.stripe.com/error-codes"
const STRIPE_OUTCOMES = "docs.stripe.com/declines (charge.outcome.reason)"
const STRIPE_ADVICE = "docs.stripe.com/declines/card (advice_code)"
const STRIPE_DEBITS = "docs.stripe.com/declines/network-codes"
const WHOP = "docs.whop.com/payments/payment-declines; Payment.decline_code of @whop/sdk"
const ISO_8583 = "ISO 8583 response codes as Visa and Mastercard use them"
const VISA_NEVER = "Visa decline category 1 (never reattempt)"
const ACH = "Nacha return codes; docs.stripe.com/declines/network-codes"

/** Rows of (source, ask, codes); a code is in one row only. */
const TABLE: readonly (readonly [source: string, ask: MemberAction, codes: string])[] = [
  // Stripe asks to treat these as a generic decline towards the customer; `pickup_card` may mean lost or stolen.
  [STRIPE, "silent", "fraudulent lost_card merchant_blacklist pickup_card stolen_card"],
  [STRIPE, "authenticate", "authentication_required authentication_not_handled mobile_device_authentication_required"],
  [STRIPE, "wait_for_funds", "insufficient_funds card_velocity_exceeded withdrawal_count_limit_exceeded"],
  [STRIPE, "try_again", "approve_with_id duplicate_transaction issuer_not_available processing_error"],
  [STRIPE, "try_again", "reenter_transaction try_again_later"],
  [STRIPE, "call_bank", "call_issuer do_not_honor do_not_try_again generic_decline invalid_amount"],
  [STRIPE, "call_bank", "new_account_information_available no_action_taken not_permitted restricted_card"],
  [STRIPE, "call_bank", "revocation_of_all_authorizations revocation_of_authorization security_violation"],
  [STRIPE, "call_bank", "service_not_allowed stop_payment_order transaction_not_allowed"],
  [STRIPE, "update_card", "card_not_supported currency_not_supported expired_card invalid_account"],
  [STRIPE, "update_card", "incorrect_number incorrect_cvc incorrect_pin incorrect_zip incorrect_address"],
  [STRIPE, "update_card", "invalid_cvc invalid_expiry_month invalid_expiry_year invalid_number invalid_pin"],
  [STRIPE, "update_card", "offline_pin_required online_or_offline_pin_required pin_try_exceeded testmode_decline"],
  [STRIPE, "update_card", "live_mode_test_card test_mode_live_card"],

  // Radar: the business or Stripe blocked the payment on suspicion, often before it reached the bank.
  [STRIPE_OUTCOMES, "silent", "highest_risk_level elevated_risk_level rule blocklist"],
  [STRIPE_OUTCOMES, "update_card", "low_probability_of_authorization previously_declined_do_not_retry"],
  [STRIPE_OUTCOMES, "update_card", "requested_block_on_incorrect_cvc requested_block_on_incorrect_zip"],
  [STRIPE_ADVICE, "update_card", "confirm_card_data"],

  [
    STRIPE_ERRORS,
    "update_card",
    "card_declined incorrect_postal_code invalid_card_type expired_payment_method missing",
  ],
  [STRIPE_ERRORS, "update_card", "card_decline_rate_limit_exceeded charge_exceeds_source_limit token_already_used"],
  [STRIPE_ERRORS, "update_card", "charge_exceeds_transaction_limit india_recurring_payment_mandate_canceled"],
  [STRIPE_ERRORS, "update_card", "payment_intent_mandate_invalid billing_invalid_mandate setup_intent_mandate_invalid"],
  [STRIPE_ERRORS, "update_card", "payment_intent_incompatible_payment_method payment_method_currency_mismatch"],
  [STRIPE_ERRORS, "update_card", "payment_method_customer_decline payment_method_not_available"],
  [STRIPE_ERRORS, "update_card", "payment_method_provider_decline payment_method_unactivated"],
  [STRIPE_ERRORS, "update_card", "payment_method_unexpected_state payment_method_unsupported_type"],
  [
    STRIPE_ERRORS,
    "update_card",
    "payment_method_billing_details_address_missing payment_intent_payment_attempt_failed",
  ],
  [STRIPE_ERRORS, "update_card", "payment_method_bank_account_blocked payment_method_microdeposit_failed"],
  [STRIPE_ERRORS, "update_card", "invoice_no_payment_method_types bank_account_unverified setup_attempt_failed"],
  [STRIPE_ERRORS, "update_card", "financial_connections_account_inactive"],
  [STRIPE_ERRORS, "call_bank", "payment_method_restricted three_d_secure_authentication_not_supported"],
  [STRIPE_ERRORS, "authenticate", "authentication_failure payment_intent_authentication_failure"],
  [STRIPE_ERRORS, "authenticate", "setup_intent_authentication_failure payment_intent_action_required"],
  [STRIPE_ERRORS, "authenticate", "invoice_payment_intent_requires_action payment_intent_payment_attempt_expired"],
  [STRIPE_ERRORS, "authenticate", "subscription_payment_intent_requires_action approval_required"],
  [STRIPE_ERRORS, "try_again", "payment_method_provider_timeout rate_limit lock_timeout idempotency_key_in_use"],
  [STRIPE_ERRORS, "try_again", "payment_intent_rate_limit_exceeded three_d_secure_authentication_upstream_error"],

  [STRIPE_DEBITS, "silent", "recipient_deceased"],
  [STRIPE_DEBITS, "update_card", "account_closed no_account debit_not_authorized bank_account_closed"],
  [STRIPE_DEBITS, "update_card", "bank_account_invalid_details bank_account_unusable bank_account_declined"],
  [
    STRIPE_DEBITS,
    "update_card",
    "invalid_account_number invalid_bank_account_iban invalid_bsb incorrect_account_holder_name",
  ],
  [
    STRIPE_DEBITS,
    "update_card",
    "incorrect_account_holder_address incorrect_account_holder_tax_id bank_ownership_changed",
  ],
  [STRIPE_DEBITS, "update_card", "sepa_unsupported_account invalid_currency"],
  [STRIPE_DEBITS, "call_bank", "bank_account_restricted refer_to_customer payment_stopped account_frozen"],
  [STRIPE_DEBITS, "try_again", "could_not_process generic_could_not_process"],

  // Besides fraud: no reminder for payments that regulation blocks, or of a deceased account holder.
  [WHOP, "silent", "suspected_fraud high_risk three_d_secure_fraud three_d_secure_reported_lost_or_stolen"],
  [WHOP, "silent", "regulatory_blocked bank_regulatory_blocked bank_account_holder_deceased"],
  [WHOP, "authenticate", "three_d_secure_canceled three_d_secure_timeout three_d_secure_failed three_d_secure_success"],
  [WHOP, "authenticate", "three_d_secure_generic_error"],
  [WHOP, "wait_for_funds", "bank_insufficient_funds"],
  [WHOP, "try_again", "issuer_unavailable issuer_error invalid_transaction cannot_authorize transaction_cancelled"],
  [WHOP, "try_again", "bank_duplicate bank_amount_error bank_processing_error"],
  [WHOP, "call_bank", "contact_issuer bank_declined transaction_not_permitted transaction_stopped provider_declined"],
  [WHOP, "call_bank", "three_d_secure_rejected_by_bank three_d_secure_too_many_attempts blocked_by_cardholder"],
  [WHOP, "call_bank", "bank_account_frozen bank_payment_stopped bank_generic_decline"],
  [WHOP, "update_card", "invalid_card_number invalid_cvc_or_expiration card_type_not_supported issuer_not_found"],
  [WHOP, "update_card", "closed_account invalid_zip invalid_expiry pin_required pin_required_as invalid_country"],
  [WHOP, "update_card", "invalid_card_holder_name no_accounts test_mode_decline test_mode_test_card"],
  [WHOP, "update_card", "three_d_secure_invalid_card_number three_d_secure_card_not_enrolled"],
  [WHOP, "update_card", "bank_account_not_found bank_invalid_routing_number bank_non_transaction_account"],
  [WHOP, "update_card", "bank_authorization_revoked bank_not_authorized bank_details_invalid sepa_invalid_iban"],
  [WHOP, "update_card", "sepa_no_mandate sepa_mandate_data_invalid sepa_disputed sepa_refused_by_customer"],
  [WHOP, "update_card", "sepa_generic_decline"],

  [VISA_NEVER, "silent", "04 07 41 43"],
  [VISA_NEVER, "update_card", "12 14 15 46"],
  [VISA_NEVER, "call_bank", "57 r0 r1 r3"],
  [ISO_8583, "silent", "34 35 36 37 59"],
  [ISO_8583, "authenticate", "1a 70"],
  [ISO_8583, "wait_for_funds", "51 61 65"],
  [ISO_8583, "try_again", "06 19 91 92 96"],
  [ISO_8583, "call_bank", "01 02 03 05 13 58 62 63 93"],
  [ISO_8583, "update_card", "33 52 53 54 55 75 78 80 82 n7"],

  [ACH, "silent", "r14 r15"],
  [ACH, "wait_for_funds", "r01 r09"],
  [ACH, "call_bank", "r08 r16"],
  [ACH, "update_card", "r02 r03 r04 r05 r07 r10 r11 r12 r13 r20 r29 r31"],
]

/**
 * Codes after which retries need a new payment method. Stripe never executes one for the first two rows
 * (docs.stripe.com/billing/revenue-recovery/smart-retries); Visa forbids it for its category 1; a closed, missing or
 * unauthorized bank account needs new details or a new mandate first (docs.stripe.com/declines/network-codes).
 */
const NEEDS_NEW_METHOD = new Set(
  [
    "incorrect_number lost_card pickup_card stolen_card revocation_of_authorization revocation_of_all_authorizations",
    "authentication_required highest_risk_level transaction_not_allowed",
    "04 07 12 14 15 41 43 46 57 r0 r1 r3",
    "account_closed no_account bank_account_closed bank_account_invalid_details debit_not_authorized recipient_deceased",
    "r02 r03 r04 r05 r07 r10 r11 r14 r15 r29",
    "closed_account bank_account_not_found bank_authorization_revoked bank_not_authorized bank_account_holder_deceased",
    "three_d_secure_reported_lost_or_stolen sepa_no_mandate sepa_invalid_iban",
  ].flatMap((row) => row.split(" ")),
)

/** Every known code, once, in lower case. */
export const DECLINE_CODES: readonly DeclineEntry[] = TABLE.flatMap(([source, ask, codes]) =>
  codes.split(" ").map((code) => ({ code, ask, source })),
)

const BY_CODE: ReadonlyMap<string, DeclineEntry> = new Map(DECLINE_CODES.map((entry) => [entry.code, entry]))

/**
 * The advice for a decline code of any provider, in upper or lower case. A code that is null or not in the table gets
 * `update_card`, whose text assumes no cause, and counts as retried, as Stripe does for all but its nine codes.
 */
export function declineAdvice(code: string | null): DeclineAdvice {
  const key = code?.trim().toLowerCase() ?? ""
  const entry = BY_CODE.get(key)
  if (!entry) return { ask: "update_card", providerRetries: true, isKnown: false, source: null }
  return { ask: entry.ask, providerRetries: !NEEDS_NEW_METHOD.has(key), isKnown: true, source: entry.source }
}
