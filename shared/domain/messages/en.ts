import type { Phrases } from "./phrases.ts"

const of = (amount: string | null) => (amount === null ? "" : ` of ${amount}`)
const months = (count: number) => (count === 1 ? "your next month" : `your next ${count} months`)
const days = (count: number) => (count === 1 ? "one more day" : `${count} more days`)

/** English, and the fallback for every other language. */
export const en: Phrases = {
  language: "en",
  greeting: (firstName) => (firstName === null ? "Hello," : `Hi ${firstName},`),
  payment: {
    subject: {
      first: (brand) => `Your payment to ${brand} did not go through`,
      reminder: (brand) => `Reminder: your payment to ${brand} is still open`,
      last: (brand) => `Last reminder: keep your ${brand} subscription`,
    },
    opening: {
      first: (brand, amount) =>
        `Your latest payment${of(amount)} to ${brand} did not go through. This happens, and it is quickly put right.`,
      reminder: (brand, amount) => `Your payment${of(amount)} to ${brand} is still open.`,
      last: (brand, amount) => `Your payment${of(amount)} to ${brand} has been open for several days.`,
    },
    ask: {
      update_card: "Please check your payment details or choose another way to pay. It takes about a minute.",
      authenticate: "Your bank wants you to confirm this payment yourself. Please open the link and follow its steps.",
      wait_for_funds:
        "It may help to make sure there is enough room on your account or card, or to choose another way to pay.",
      call_bank:
        "Your bank declined it. A short call to your bank can settle the matter; you can also choose another way to pay.",
      try_again: "The cause looks temporary. You can try again now with the link below.",
    },
    outcome: {
      first: "As soon as it has gone through, nothing changes for you.",
      reminder: "Once the payment has gone through, everything continues as before.",
      last: "Without a payment your subscription may end soon. Once it has gone through, everything continues as before.",
    },
    button: {
      update_card: "Check payment details",
      authenticate: "Confirm payment",
      wait_for_funds: "See payment options",
      call_bank: "See payment options",
      try_again: "Try again",
    },
    short: {
      update_card: (brand, amount) =>
        `${brand}: your payment${of(amount)} did not go through. Please check your payment details:`,
      authenticate: (brand, amount) => `${brand}: please confirm your payment${of(amount)} with your bank:`,
      wait_for_funds: (brand, amount) =>
        `${brand}: your payment${of(amount)} is open. Please check your balance or pay another way:`,
      call_bank: (brand, amount) =>
        `${brand}: your bank declined your payment${of(amount)}. Please call it or pay another way:`,
      try_again: (brand, amount) => `${brand}: your payment${of(amount)} did not go through. Please try again:`,
    },
  },
  cancellation: {
    subject: {
      first: (brand) => `Your ${brand} subscription is set to end`,
      reminder: (brand) => `Before your ${brand} subscription ends`,
      last: (brand) => `Last reminder: your ${brand} subscription is ending`,
    },
    opening: {
      first: (brand) => `You asked us to end your ${brand} subscription. We are sorry to see you go.`,
      reminder: (brand) => `Your ${brand} subscription will end as you asked.`,
      last: (brand) => `Your ${brand} subscription will end shortly, as you asked.`,
    },
    ask: "If you changed your mind, you can keep it with one click. If something was not right, please tell us.",
    outcome: {
      first: "If you do nothing, it ends on the date you were told.",
      reminder: "If you do nothing, it ends on the date you were told.",
      last: "If you do nothing, it ends on the date you were told.",
    },
    button: "Keep my subscription",
    short: (brand) => `${brand}: your subscription is set to end. Changed your mind? Keep it here:`,
  },
  at_risk: {
    subject: {
      first: (brand) => `Are you getting what you need from ${brand}?`,
      reminder: (brand) => `Can we help you with ${brand}?`,
      last: (brand) => `One more offer of help from ${brand}`,
    },
    opening: {
      first: (brand) => `We would like to know whether ${brand} does what you need.`,
      reminder: (brand) => `If ${brand} is not quite what you hoped for, we would like to help.`,
      last: (brand) => `We would be glad to help you get more out of ${brand}.`,
    },
    ask: "The link shows your subscription and the ways to change it. You can also just tell us what is missing.",
    outcome: {
      first: "If all is well, there is nothing you need to do.",
      reminder: "If all is well, there is nothing you need to do.",
      last: "If all is well, there is nothing you need to do.",
    },
    button: "See my subscription",
    short: (brand) => `${brand}: is your subscription what you need? See your options:`,
  },
  incentive: (incentive) =>
    incentive.kind === "discount"
      ? `To thank you for staying, we take ${incentive.percentOff}% off ${months(incentive.months)}.`
      : `To thank you for staying, we give you ${days(incentive.days)} for free.`,
  help: (supportEmail) => `Questions? Write to us at ${supportEmail}.`,
  linkHint: "If the button does not work, open this address:",
  reason: (brand) => `You receive this message because you have a subscription with ${brand}.`,
  unsubscribe: "Unsubscribe from these reminders",
  stop: "Reply STOP to opt out.",
  mark: { first: "", reminder: "Reminder: ", last: "Last reminder: " },
  unnamed: "our service",
  total: (count, amounts) => `In all, ${count} payments are open${amounts === null ? "" : `: ${amounts}`}.`,
}
