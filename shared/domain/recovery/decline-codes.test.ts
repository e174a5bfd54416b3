import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { anyString } from "../../../test/support/any-string.ts"
import { DECLINE_CODES, declineAdvice } from "./decline-codes.ts"

/** The card decline codes that docs.stripe.com/declines/codes lists. */
const STRIPE_DOCUMENTED = `authentication_required approve_with_id call_issuer card_not_supported card_velocity_exceeded
  currency_not_supported do_not_honor do_not_try_again duplicate_transaction expired_card fraudulent generic_decline
  incorrect_number incorrect_cvc incorrect_pin incorrect_zip incorrect_address insufficient_funds invalid_account
  invalid_amount invalid_cvc invalid_expiry_month invalid_expiry_year invalid_number invalid_pin issuer_not_available
  lost_card merchant_blacklist new_account_information_available no_action_taken not_permitted offline_pin_required
  online_or_offline_pin_required pickup_card pin_try_exceeded processing_error reenter_transaction restricted_card
  revocation_of_all_authorizations revocation_of_authorization security_violation service_not_allowed stolen_card
  stop_payment_order testmode_decline transaction_not_allowed try_again_later withdrawal_count_limit_exceeded`

/** The values of `decline_code` on Whop's payment object. */
const WHOP_DOCUMENTED = `insufficient_funds lost_card stolen_card expired_card suspected_fraud invalid_card_number invalid_cvc
  invalid_cvc_or_expiration incorrect_pin authentication_required card_not_supported currency_not_supported
  duplicate_transaction generic_decline invalid_account invalid_amount processing_error restricted_card
  card_velocity_exceeded contact_issuer bank_declined regulatory_blocked transaction_not_permitted transaction_stopped
  card_type_not_supported issuer_not_found closed_account issuer_unavailable invalid_zip invalid_expiry_month
  invalid_expiry_year invalid_expiry invalid_transaction cannot_authorize pin_required pin_try_exceeded provider_declined
  high_risk test_mode_decline merchant_blacklist reenter_transaction invalid_pin pin_required_as
  withdrawal_count_limit_exceeded invalid_country issuer_error invalid_card_holder_name no_accounts transaction_cancelled
  three_d_secure_success three_d_secure_canceled three_d_secure_invalid_card_number three_d_secure_generic_error
  three_d_secure_timeout three_d_secure_failed three_d_secure_card_not_enrolled three_d_secure_fraud
  three_d_secure_too_many_attempts three_d_secure_rejected_by_bank three_d_secure_reported_lost_or_stolen
  blocked_by_cardholder test_mode_test_card try_again_later transaction_not_allowed bank_insufficient_funds
  bank_account_not_found bank_account_closed bank_account_frozen bank_invalid_routing_number bank_non_transaction_account
  bank_authorization_revoked bank_payment_stopped bank_not_authorized bank_account_holder_deceased bank_duplicate
  bank_amount_error bank_regulatory_blocked bank_details_invalid bank_processing_error bank_generic_decline
  sepa_invalid_iban sepa_no_mandate sepa_mandate_data_invalid sepa_disputed sepa_refused_by_customer sepa_generic_decline`

const words = (text: string) => text.trim().split(/\s+/)

describe("the decline codes", () => {
  test.each([
    ["Stripe", STRIPE_DOCUMENTED],
    ["Whop", WHOP_DOCUMENTED],
  ])("knows every code that %s documents", (_provider, codes) => {
    expect(words(codes).filter((code) => !declineAdvice(code).isKnown)).toEqual([])
  })

  test("names each code once, in lower case, with its source", () => {
    const codes = DECLINE_CODES.map((entry) => entry.code)
    expect(codes.filter((code, index) => codes.indexOf(code) !== index)).toEqual([])
    for (const entry of DECLINE_CODES) {
      expect(entry.code).toMatch(/^[a-z0-9_]+$/)
      expect(entry.source.length).toBeGreaterThan(5)
    }
  })

  test.each(
    words(
      "fraudulent lost_card stolen_card pickup_card merchant_blacklist highest_risk_level suspected_fraud high_risk " +
        "three_d_secure_fraud 04 41 43 59",
    ),
  )("says nothing on %s", (code) => {
    expect(declineAdvice(code).ask).toBe("silent")
  })

  test("expects no retry for exactly the nine codes that Stripe never retries, among Stripe's own", () => {
    const stripes = [...words(STRIPE_DOCUMENTED), "highest_risk_level"]
    expect(stripes.filter((code) => !declineAdvice(code).providerRetries).sort()).toEqual(
      words(
        `authentication_required highest_risk_level incorrect_number lost_card pickup_card
         revocation_of_all_authorizations revocation_of_authorization stolen_card transaction_not_allowed`,
      ),
    )
  })

  test.each([
    ["expired_card", "update_card"],
    ["insufficient_funds", "wait_for_funds"],
    ["authentication_required", "authenticate"],
    ["do_not_honor", "call_bank"],
    ["processing_error", "try_again"],
    ["51", "wait_for_funds"],
    ["R01", "wait_for_funds"],
    [" Insufficient_Funds ", "wait_for_funds"],
  ])("asks for the right thing on %s", (code, ask) => {
    expect(declineAdvice(code).ask).toBe(ask)
  })

  test("gives any other string, and null, the same careful default", () => {
    const byDefault = { ask: "update_card", providerRetries: true, isKnown: false, source: null }
    expect(declineAdvice(null)).toEqual(byDefault)
    for (const name of ["__proto__", "constructor", "toString", ""]) expect(declineAdvice(name)).toEqual(byDefault)
    fc.assert(
      fc.property(anyString(), (code) => {
        const advice = declineAdvice(code)
        if (!advice.isKnown) expect(advice).toEqual(byDefault)
      }),
    )
  })
})
