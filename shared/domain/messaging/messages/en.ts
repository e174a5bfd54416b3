import type { Phrases } from "./phrases.ts"

const of = (amount: string | null) => (amount === null ? "" : ` of ${amount}`)
const months = (count: number) => (count === 1 ? "your next month" : `your next ${count} months`)
const days = (count: number) => (count === 1 ? "one more day" : `${count} more days`)

/** English, and the fallback for every other language. */
export const en: Phrases = {
  language: "en",
  greeting: (firstName) => (firstName === null ? "Hello," : `Hi ${firstName},`),
  failed: {
    subject: {
      first: ({ brand }) => `Your payment to ${brand} did not go through`,
      reminder: ({ brand }) => `Reminder: your payment to ${brand} is still open`,
      last: ({ brand }) => `Last reminder: your payment to ${brand} is still open`,
    },
    opening: {
      first: ({ brand, amount }) =>
        `Your payment${of(amount)} to ${brand} did not go through. This happens, and it is quickly put right.`,
      reminder: ({ brand, amount }) => `Your payment${of(amount)} to ${brand} is still open.`,
      last: ({ brand, amount }) => `Your payment${of(amount)} to ${brand} has been open for several days.`,
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
    button: {
      update_card: "Check payment details",
      authenticate: "Confirm payment",
      wait_for_funds: "See payment options",
      call_bank: "See payment options",
      try_again: "Try again",
    },
    short: {
      update_card: ({ amount }) => `Your payment${of(amount)} did not go through. Please check your payment details:`,
      authenticate: ({ amount }) => `Please confirm your payment${of(amount)} with your bank:`,
      wait_for_funds: ({ amount }) =>
        `Your payment${of(amount)} is open. Please check your balance or pay another way:`,
      call_bank: ({ amount }) => `Your bank declined your payment${of(amount)}. Please call it or pay another way:`,
      try_again: ({ amount }) => `Your payment${of(amount)} did not go through. Please try again:`,
    },
  },
  overdue: {
    subject: {
      first: ({ brand }) => `Your invoice from ${brand} is overdue`,
      reminder: ({ brand }) => `Reminder: your invoice from ${brand} is overdue`,
      last: ({ brand }) => `Last reminder: your invoice from ${brand} is overdue`,
    },
    opening: {
      first: ({ brand, amount }) => `Your invoice${of(amount)} from ${brand} is overdue.`,
      reminder: ({ brand, amount }) => `Your invoice${of(amount)} from ${brand} is still not paid.`,
      last: ({ brand, amount }) => `Your invoice${of(amount)} from ${brand} has been overdue for several days.`,
    },
    ask: "Please pay it with the link below. If you have paid it already, there is nothing you need to do.",
    button: "View and pay the invoice",
    short: ({ amount }) => `Your invoice${of(amount)} is overdue. Please pay it here:`,
  },
  paid: {
    subscription: {
      first: "Once it has been paid, nothing changes for you.",
      reminder: "Once the payment has gone through, everything continues as before.",
      last: "Without a payment your subscription may end. Once it has gone through, everything continues as before.",
    },
    one_off: {
      first: "Once it has been paid, there is nothing else to do.",
      reminder: "Once the payment has gone through, there is nothing else to do.",
      last: "Once the payment has gone through, the matter is settled.",
    },
  },
  nextAttempt: (date) => `Otherwise the payment will be tried again on ${date}.`,
  total: (count, amount) =>
    amount === null
      ? `In all, ${count === 1 ? "one invoice is" : `${count} invoices are`} open.`
      : `In all, ${count === 1 ? "one invoice is" : `${count} invoices are`} open, together ${amount}.`,
  cancellation: {
    subject: {
      first: ({ brand }) => `Your ${brand} subscription is set to end`,
      reminder: ({ brand }) => `Before your ${brand} subscription ends`,
      last: ({ brand }) => `Last reminder: keep your ${brand} subscription`,
    },
    opening: {
      first: ({ brand }) => `You asked us to end your ${brand} subscription. We are sorry to see you go.`,
      reminder: ({ brand }) => `Your ${brand} subscription will end as you asked.`,
      last: ({ brand, endDate }) =>
        `Your ${brand} subscription ${endDate === null ? "will end" : `ends on ${endDate}`}, as you asked.`,
    },
    ask: "If you changed your mind, you can keep it with one click. If something was not right, please tell us.",
    outcome: ({ endDate }) => `If you do nothing, it ends on ${endDate ?? "the date you were told"}.`,
    button: "Keep my subscription",
    short: () => "Your subscription is set to end. Changed your mind? Keep it here:",
  },
  at_risk: {
    subject: {
      first: ({ brand }) => `Does ${brand} do what you need?`,
      reminder: ({ brand }) => `How can ${brand} help you?`,
      last: ({ brand }) => `One more offer of help from ${brand}`,
    },
    opening: {
      first: ({ brand }) => `We would like to know whether ${brand} does what you need.`,
      reminder: ({ brand }) => `If ${brand} is not quite what you hoped for, we would like to help.`,
      last: ({ brand }) => `We would be glad to help you get more out of ${brand}.`,
    },
    ask: "The link shows your subscription and the ways to change it. You can also just tell us what is missing.",
    outcome: () => "If all is well, there is nothing you need to do.",
    button: "See my subscription",
    short: () => "Is your subscription what you need? See your options:",
  },
  incentive: (incentive) =>
    incentive.kind === "discount"
      ? `To thank you for staying, we take ${incentive.percentOff}% off ${months(incentive.months)}.`
      : `To thank you for staying, we give you ${days(incentive.days)} for free.`,
  help: (supportEmail) => `Questions? Write to us at ${supportEmail}.`,
  linkHint: "If the button does not work, open this address:",
  reason: {
    subscription: (brand) => `You receive this message because you have a subscription with ${brand}.`,
    one_off: (brand) => `You receive this message because you have an open invoice from ${brand}.`,
  },
  unsubscribe: "Unsubscribe from these reminders",
  stop: "Reply STOP to opt out.",
  from: (brand) => `${brand}:`,
  mark: { first: "", reminder: "Reminder: ", last: "Last reminder: " },
  unnamed: "our service",
}
