import type { Phrases } from "./phrases.ts"

const of = (amount: string | null) => (amount === null ? "" : ` über ${amount}`)
const months = (count: number) => (count === 1 ? "den nächsten Monat" : `die nächsten ${count} Monate`)
const days = (count: number) => (count === 1 ? "einen weiteren Tag" : `${count} weitere Tage`)

/** German, in the polite form. */
export const de: Phrases = {
  language: "de",
  greeting: (firstName) => (firstName === null ? "Guten Tag," : `Guten Tag ${firstName},`),
  failed: {
    subject: {
      first: ({ brand }) => `Ihre Zahlung an ${brand} hat nicht geklappt`,
      reminder: ({ brand }) => `Erinnerung: Ihre Zahlung an ${brand} ist noch offen`,
      last: ({ brand }) => `Letzte Erinnerung: Ihre Zahlung an ${brand} ist noch offen`,
    },
    opening: {
      first: ({ brand, amount }) =>
        `Ihre Zahlung${of(amount)} an ${brand} hat nicht geklappt. Das kommt vor und ist schnell behoben.`,
      reminder: ({ brand, amount }) => `Ihre Zahlung${of(amount)} an ${brand} ist noch offen.`,
      last: ({ brand, amount }) => `Ihre Zahlung${of(amount)} an ${brand} ist seit einigen Tagen offen.`,
    },
    ask: {
      update_card:
        "Bitte prüfen Sie Ihre Zahlungsdaten oder wählen Sie eine andere Zahlungsart. Das dauert etwa eine Minute.",
      authenticate:
        "Ihre Bank möchte, dass Sie diese Zahlung selbst bestätigen. Bitte öffnen Sie den Link und folgen Sie den Schritten.",
      wait_for_funds:
        "Vielleicht hilft es, für ausreichende Deckung auf Konto oder Karte zu sorgen oder eine andere Zahlungsart zu wählen.",
      call_bank:
        "Ihre Bank hat sie abgelehnt. Ein kurzer Anruf dort kann das klären; Sie können auch eine andere Zahlungsart wählen.",
      try_again: "Die Ursache scheint vorübergehend zu sein. Über den Link können Sie es jetzt noch einmal versuchen.",
    },
    button: {
      update_card: "Zahlungsdaten prüfen",
      authenticate: "Zahlung bestätigen",
      wait_for_funds: "Zahlungsarten ansehen",
      call_bank: "Zahlungsarten ansehen",
      try_again: "Noch einmal versuchen",
    },
    short: {
      update_card: ({ amount }) => `Ihre Zahlung${of(amount)} hat nicht geklappt. Bitte prüfen Sie Ihre Zahlungsdaten:`,
      authenticate: ({ amount }) => `Bitte bestätigen Sie Ihre Zahlung${of(amount)} bei Ihrer Bank:`,
      wait_for_funds: ({ amount }) => `Ihre Zahlung${of(amount)} ist offen. Bitte Deckung prüfen oder anders zahlen:`,
      call_bank: ({ amount }) =>
        `Ihre Bank hat die Zahlung${of(amount)} abgelehnt. Bitte dort anrufen oder anders zahlen:`,
      try_again: ({ amount }) => `Ihre Zahlung${of(amount)} hat nicht geklappt. Bitte noch einmal versuchen:`,
    },
  },
  overdue: {
    subject: {
      first: ({ brand }) => `Ihre Rechnung von ${brand} ist überfällig`,
      reminder: ({ brand }) => `Erinnerung: Ihre Rechnung von ${brand} ist überfällig`,
      last: ({ brand }) => `Letzte Erinnerung: Ihre Rechnung von ${brand} ist überfällig`,
    },
    opening: {
      first: ({ brand, amount }) => `Ihre Rechnung${of(amount)} von ${brand} ist überfällig.`,
      reminder: ({ brand, amount }) => `Ihre Rechnung${of(amount)} von ${brand} ist noch nicht bezahlt.`,
      last: ({ brand, amount }) => `Ihre Rechnung${of(amount)} von ${brand} ist seit einigen Tagen überfällig.`,
    },
    ask: "Bitte bezahlen Sie sie über den Link. Wenn Sie schon bezahlt haben, müssen Sie nichts tun.",
    button: "Rechnung ansehen und bezahlen",
    short: ({ amount }) => `Ihre Rechnung${of(amount)} ist überfällig. Hier können Sie sie bezahlen:`,
  },
  paid: {
    subscription: {
      first: "Sobald sie bezahlt ist, ändert sich für Sie nichts.",
      reminder: "Sobald die Zahlung angekommen ist, läuft alles weiter wie bisher.",
      last: "Ohne Zahlung endet Ihr Abo möglicherweise. Sobald sie angekommen ist, läuft alles weiter wie bisher.",
    },
    one_off: {
      first: "Sobald sie bezahlt ist, ist alles erledigt.",
      reminder: "Sobald die Zahlung angekommen ist, ist alles erledigt.",
      last: "Sobald die Zahlung angekommen ist, ist die Sache erledigt.",
    },
  },
  nextAttempt: (date) => `Andernfalls wird die Zahlung am ${date} noch einmal versucht.`,
  total: (count, amount) => {
    const open = count === 1 ? "Insgesamt ist eine Rechnung offen" : `Insgesamt sind ${count} Rechnungen offen`
    return amount === null ? `${open}.` : `${open}, zusammen ${amount}.`
  },
  cancellation: {
    subject: {
      first: ({ brand }) => `Ihr Abo bei ${brand} läuft aus`,
      reminder: ({ brand }) => `Bevor Ihr Abo bei ${brand} endet`,
      last: ({ brand }) => `Letzte Erinnerung: Behalten Sie Ihr Abo bei ${brand}`,
    },
    opening: {
      first: ({ brand }) => `Sie haben Ihr Abo bei ${brand} gekündigt. Schade, dass Sie gehen.`,
      reminder: ({ brand }) => `Ihr Abo bei ${brand} endet wie gewünscht.`,
      last: ({ brand, endDate }) =>
        `Ihr Abo bei ${brand} endet${endDate === null ? " wie gewünscht" : ` am ${endDate}, wie gewünscht`}.`,
    },
    ask: "Wenn Sie es sich anders überlegt haben, behalten Sie es mit einem Klick. Wenn etwas nicht gepasst hat, sagen Sie es uns bitte.",
    outcome: ({ endDate }) =>
      `Wenn Sie nichts tun, endet es ${endDate === null ? "zum genannten Datum" : `am ${endDate}`}.`,
    button: "Abo behalten",
    short: () => "Ihr Abo läuft aus. Doch bleiben? Hier behalten Sie es:",
  },
  at_risk: {
    subject: {
      first: ({ brand }) => `Hilft Ihnen ${brand} so, wie es soll?`,
      reminder: ({ brand }) => `Wie kann ${brand} Ihnen helfen?`,
      last: ({ brand }) => `Noch ein Hilfsangebot von ${brand}`,
    },
    opening: {
      first: ({ brand }) => `Wir möchten gern wissen, ob ${brand} leistet, was Sie brauchen.`,
      reminder: ({ brand }) => `Wenn ${brand} nicht ganz Ihren Erwartungen entspricht, möchten wir helfen.`,
      last: ({ brand }) => `Wir helfen Ihnen gern, mehr aus ${brand} herauszuholen.`,
    },
    ask: "Der Link zeigt Ihr Abo und wie Sie es ändern können. Sie können uns auch einfach schreiben, was fehlt.",
    outcome: () => "Wenn alles passt, müssen Sie nichts tun.",
    button: "Abo ansehen",
    short: () => "Passt Ihr Abo noch? Hier sehen Sie Ihre Möglichkeiten:",
  },
  incentive: (incentive) =>
    incentive.kind === "discount"
      ? `Als Dank für Ihre Treue erhalten Sie ${incentive.percentOff} % Rabatt auf ${months(incentive.months)}.`
      : `Als Dank für Ihre Treue schenken wir Ihnen ${days(incentive.days)}.`,
  help: (supportEmail) => `Fragen? Schreiben Sie uns an ${supportEmail}.`,
  linkHint: "Falls der Knopf nicht funktioniert, öffnen Sie diese Adresse:",
  reason: {
    subscription: (brand) => `Sie erhalten diese Nachricht, weil Sie ein Abo bei ${brand} haben.`,
    one_off: (brand) => `Sie erhalten diese Nachricht, weil eine Rechnung von ${brand} an Sie offen ist.`,
  },
  unsubscribe: "Diese Erinnerungen abbestellen",
  stop: "Abmelden: STOP antworten.",
  from: (brand) => `${brand}:`,
  mark: { first: "", reminder: "Erinnerung: ", last: "Letzte Erinnerung: " },
  unnamed: "unserem Dienst",
}
