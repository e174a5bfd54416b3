import { expect, test } from "vitest"
import { endByOf, type StatedEnd } from "./intent.ts"

const NOTHING: StatedEnd = {
  atPeriodEnd: false,
  hasReasonOfMember: false,
  isRequested: false,
  byProvider: false,
  bySchedule: false,
  sinceCreation: false,
  isExtension: false,
  isSwitch: false,
  isUnrequested: false,
}

test.each<[string, "member" | "other", Partial<StatedEnd>]>([
  ["a move to another plan", "other", { isSwitch: true, hasReasonOfMember: true }],
  ["an end by the provider", "other", { byProvider: true, hasReasonOfMember: true }],
  ["a reason of the member", "member", { hasReasonOfMember: true, sinceCreation: true, isExtension: true }],
  ["a fixed term", "other", { sinceCreation: true, isRequested: true }],
  ["a term that was extended", "other", { isExtension: true, isRequested: true }],
  ["an end by a schedule", "other", { bySchedule: true, isRequested: true }],
  ["a request", "member", { isRequested: true, isUnrequested: true }],
  ["empty fields of a request", "other", { isUnrequested: true, atPeriodEnd: true }],
  ["the end of the period alone", "member", { atPeriodEnd: true }],
  ["a date alone", "other", {}],
])("the end of a subscription: %s is the wish of: %s", (_, endBy, stated) => {
  expect(endByOf({ ...NOTHING, ...stated })).toBe(endBy)
})
