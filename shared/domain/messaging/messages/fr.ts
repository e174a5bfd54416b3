import type { Phrases } from "./phrases.ts"

const of = (amount: string | null) => (amount === null ? "" : ` de ${amount}`)
const months = (count: number) => (count === 1 ? "votre prochain mois" : `vos ${count} prochains mois`)
const days = (count: number) => (count === 1 ? "un jour de plus" : `${count} jours de plus`)

/** French, in the polite form. */
export const fr: Phrases = {
  language: "fr",
  greeting: (firstName) => (firstName === null ? "Bonjour," : `Bonjour ${firstName},`),
  failed: {
    subject: {
      first: ({ brand }) => `Votre paiement à ${brand} n’a pas abouti`,
      reminder: ({ brand }) => `Rappel : votre paiement à ${brand} est en attente`,
      last: ({ brand }) => `Dernier rappel : votre paiement à ${brand} est en attente`,
    },
    opening: {
      first: ({ brand, amount }) =>
        `Votre paiement${of(amount)} à ${brand} n’a pas abouti. Cela arrive et se règle vite.`,
      reminder: ({ brand, amount }) => `Votre paiement${of(amount)} à ${brand} est toujours en attente.`,
      last: ({ brand, amount }) => `Votre paiement${of(amount)} à ${brand} est en attente depuis plusieurs jours.`,
    },
    ask: {
      update_card:
        "Veuillez vérifier vos données de paiement ou choisir un autre moyen de paiement. Cela prend environ une minute.",
      authenticate:
        "Votre banque souhaite que vous confirmiez ce paiement vous-même. Ouvrez le lien et suivez les étapes.",
      wait_for_funds:
        "Il peut être utile de vérifier que votre compte ou votre carte est suffisamment approvisionné, ou de choisir un autre moyen de paiement.",
      call_bank:
        "Votre banque l’a refusé. Un bref appel à votre banque peut suffire ; vous pouvez aussi choisir un autre moyen de paiement.",
      try_again: "La cause semble passagère. Vous pouvez réessayer dès maintenant avec le lien ci-dessous.",
    },
    button: {
      update_card: "Vérifier mes données",
      authenticate: "Confirmer le paiement",
      wait_for_funds: "Voir les moyens de paiement",
      call_bank: "Voir les moyens de paiement",
      try_again: "Réessayer",
    },
    short: {
      update_card: ({ amount }) => `Votre paiement${of(amount)} n’a pas abouti. Vérifiez vos données de paiement :`,
      authenticate: ({ amount }) => `Confirmez votre paiement${of(amount)} auprès de votre banque :`,
      wait_for_funds: ({ amount }) =>
        `Votre paiement${of(amount)} est en attente. Vérifiez votre solde ou payez autrement :`,
      call_bank: ({ amount }) => `Votre banque a refusé le paiement${of(amount)}. Appelez-la ou payez autrement :`,
      try_again: ({ amount }) => `Votre paiement${of(amount)} n’a pas abouti. Veuillez réessayer :`,
    },
  },
  overdue: {
    subject: {
      first: ({ brand }) => `Votre facture de ${brand} est échue`,
      reminder: ({ brand }) => `Rappel : votre facture de ${brand} est échue`,
      last: ({ brand }) => `Dernier rappel : votre facture de ${brand} est échue`,
    },
    opening: {
      first: ({ brand, amount }) => `Votre facture${of(amount)} de ${brand} est échue.`,
      reminder: ({ brand, amount }) => `Votre facture${of(amount)} de ${brand} n’est toujours pas payée.`,
      last: ({ brand, amount }) => `Votre facture${of(amount)} de ${brand} est échue depuis plusieurs jours.`,
    },
    ask: "Vous pouvez la payer avec le lien ci-dessous. Si vous l’avez déjà payée, vous n’avez rien à faire.",
    button: "Voir et payer la facture",
    short: ({ amount }) => `Votre facture${of(amount)} est échue. Payez-la ici :`,
  },
  paid: {
    subscription: {
      first: "Dès que ce sera payé, rien ne changera pour vous.",
      reminder: "Dès que le paiement aura abouti, tout continuera comme avant.",
      last: "Sans paiement, votre abonnement pourrait prendre fin. Dès qu’il aura abouti, tout continuera comme avant.",
    },
    one_off: {
      first: "Dès que ce sera payé, vous n’aurez plus rien à faire.",
      reminder: "Dès que le paiement aura abouti, vous n’aurez plus rien à faire.",
      last: "Dès que le paiement aura abouti, tout sera réglé.",
    },
  },
  nextAttempt: (date) => `Sinon, le paiement sera tenté à nouveau le ${date}.`,
  total: (count, amount) => {
    const open = count === 1 ? "En tout, une facture est en attente" : `En tout, ${count} factures sont en attente`
    return amount === null ? `${open}.` : `${open}, pour ${amount}.`
  },
  cancellation: {
    subject: {
      first: ({ brand }) => `Votre abonnement ${brand} va prendre fin`,
      reminder: ({ brand }) => `Avant la fin de votre abonnement ${brand}`,
      last: ({ brand }) => `Dernier rappel : gardez votre abonnement ${brand}`,
    },
    opening: {
      first: ({ brand }) => `Vous avez demandé la fin de votre abonnement ${brand}. Nous regrettons votre départ.`,
      reminder: ({ brand }) => `Votre abonnement ${brand} prendra fin comme vous l’avez demandé.`,
      last: ({ brand, endDate }) =>
        `Votre abonnement ${brand} prendra fin${endDate === null ? "" : ` le ${endDate},`} comme vous l’avez demandé.`,
    },
    ask: "Si vous avez changé d’avis, vous pouvez le garder en un clic. Si quelque chose n’allait pas, dites-le-nous.",
    outcome: ({ endDate }) =>
      `Si vous ne faites rien, il se termine ${endDate === null ? "à la date indiquée" : `le ${endDate}`}.`,
    button: "Garder mon abonnement",
    short: () => "Votre abonnement va prendre fin. Changé d’avis ? Gardez-le ici :",
  },
  at_risk: {
    subject: {
      first: ({ brand }) => `${brand} répond-il à vos besoins ?`,
      reminder: ({ brand }) => `Comment ${brand} peut-il vous aider ?`,
      last: ({ brand }) => `Encore une proposition d’aide de ${brand}`,
    },
    opening: {
      first: ({ brand }) => `Nous aimerions savoir si ${brand} répond à vos besoins.`,
      reminder: ({ brand }) => `Si ${brand} ne répond pas tout à fait à vos attentes, nous aimerions vous aider.`,
      last: ({ brand }) => `Nous serions heureux de vous aider à mieux profiter de ${brand}.`,
    },
    ask: "Le lien montre votre abonnement et les façons de le modifier. Vous pouvez aussi simplement nous dire ce qui manque.",
    outcome: () => "Si tout va bien, vous n’avez rien à faire.",
    button: "Voir mon abonnement",
    short: () => "Votre abonnement vous convient-il ? Voyez vos options :",
  },
  incentive: (incentive) =>
    incentive.kind === "discount"
      ? `Pour vous remercier de votre fidélité, nous vous offrons ${incentive.percentOff} % de remise sur ${months(incentive.months)}.`
      : `Pour vous remercier de votre fidélité, nous vous offrons ${days(incentive.days)}.`,
  help: (supportEmail) => `Des questions ? Écrivez-nous à ${supportEmail}.`,
  linkHint: "Si le bouton ne fonctionne pas, ouvrez cette adresse :",
  reason: {
    subscription: (brand) => `Vous recevez ce message parce que vous avez un abonnement chez ${brand}.`,
    one_off: (brand) => `Vous recevez ce message parce qu’une facture de ${brand} est en attente.`,
  },
  unsubscribe: "Ne plus recevoir ces rappels",
  stop: "STOP pour ne plus recevoir.",
  from: (brand) => `${brand} :`,
  mark: { first: "", reminder: "Rappel : ", last: "Dernier rappel : " },
  unnamed: "notre service",
}
