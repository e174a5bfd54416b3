import type { Phrases } from "./phrases.ts"

const of = (amount: string | null) => (amount === null ? "" : ` über ${amount}`)
const months = (count: number) => (count === 1 ? "den nächsten Monat" : `die nächsten ${count} Monate`)
const days = (count: number) => (count === 1 ? "einen weiteren Tag" : `${count} weitere Tage`)

/** German, in the polite form. */
export const de: Phrases = {
  language: "de",
  greeting: (firstName) => (firstName === null ? "Guten Tag," : `Guten Tag ${firstName},`),
  payment: {
    subject: {
      first: (brand) => `Ihre Zahlung an ${brand} hat nicht geklappt`,
      reminder: (brand) => `Erinnerung: Ihre Zahlung an ${brand} ist noch offen`,
      last: (brand) => `Letzte Erinnerung: Behalten Sie Ihr Abo bei ${brand}`,
    },
    opening: {
      first: (brand, amount) =>
        `Ihre letzte Zahlung${of(amount)} an ${brand} hat nicht geklappt. Das kommt vor und ist schnell behoben.`,
      reminder: (brand, amount) => `Ihre Zahlung${of(amount)} an ${brand} ist noch offen.`,
      last: (brand, amount) => `Ihre Zahlung${of(amount)} an ${brand} ist seit einigen Tagen offen.`,
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
    outcome: {
      first: "Sobald sie angekommen ist, ändert sich für Sie nichts.",
      reminder: "Sobald die Zahlung angekommen ist, läuft alles weiter wie bisher.",
      last: "Ohne Zahlung endet Ihr Abo möglicherweise bald. Sobald sie angekommen ist, läuft alles weiter wie bisher.",
    },
    button: {
      update_card: "Zahlungsdaten prüfen",
      authenticate: "Zahlung bestätigen",
      wait_for_funds: "Zahlungsarten ansehen",
      call_bank: "Zahlungsarten ansehen",
      try_again: "Noch einmal versuchen",
    },
    short: {
      update_card: (brand, amount) =>
        `${brand}: Ihre Zahlung${of(amount)} hat nicht geklappt. Bitte prüfen Sie Ihre Zahlungsdaten:`,
      authenticate: (brand, amount) => `${brand}: Bitte bestätigen Sie Ihre Zahlung${of(amount)} bei Ihrer Bank:`,
      wait_for_funds: (brand, amount) =>
        `${brand}: Ihre Zahlung${of(amount)} ist offen. Bitte Deckung prüfen oder anders zahlen:`,
      call_bank: (brand, amount) =>
        `${brand}: Ihre Bank hat die Zahlung${of(amount)} abgelehnt. Bitte dort anrufen oder anders zahlen:`,
      try_again: (brand, amount) =>
        `${brand}: Ihre Zahlung${of(amount)} hat nicht geklappt. Bitte noch einmal versuchen:`,
    },
  },
  cancellation: {
    subject: {
      first: (brand) => `Ihr Abo bei ${brand} läuft aus`,
      reminder: (brand) => `Bevor Ihr Abo bei ${brand} endet`,
      last: (brand) => `Letzte Erinnerung: Ihr Abo bei ${brand} endet bald`,
    },
    opening: {
      first: (brand) => `Sie haben Ihr Abo bei ${brand} gekündigt. Schade, dass Sie gehen.`,
      reminder: (brand) => `Ihr Abo bei ${brand} endet wie gewünscht.`,
      last: (brand) => `Ihr Abo bei ${brand} endet in Kürze, wie gewünscht.`,
    },
    ask: "Wenn Sie es sich anders überlegt haben, behalten Sie es mit einem Klick. Wenn etwas nicht gepasst hat, sagen Sie es uns bitte.",
    outcome: {
      first: "Wenn Sie nichts tun, endet es zum genannten Datum.",
      reminder: "Wenn Sie nichts tun, endet es zum genannten Datum.",
      last: "Wenn Sie nichts tun, endet es zum genannten Datum.",
    },
    button: "Abo behalten",
    short: (brand) => `${brand}: Ihr Abo läuft aus. Doch bleiben? Hier behalten Sie es:`,
  },
  at_risk: {
    subject: {
      first: (brand) => `Hilft Ihnen ${brand} so, wie es soll?`,
      reminder: (brand) => `Können wir Ihnen mit ${brand} helfen?`,
      last: (brand) => `Noch ein Hilfsangebot von ${brand}`,
    },
    opening: {
      first: (brand) => `Wir möchten gern wissen, ob ${brand} leistet, was Sie brauchen.`,
      reminder: (brand) => `Wenn ${brand} nicht ganz Ihren Erwartungen entspricht, möchten wir helfen.`,
      last: (brand) => `Wir helfen Ihnen gern, mehr aus ${brand} herauszuholen.`,
    },
    ask: "Der Link zeigt Ihr Abo und wie Sie es ändern können. Sie können uns auch einfach schreiben, was fehlt.",
    outcome: {
      first: "Wenn alles passt, müssen Sie nichts tun.",
      reminder: "Wenn alles passt, müssen Sie nichts tun.",
      last: "Wenn alles passt, müssen Sie nichts tun.",
    },
    button: "Abo ansehen",
    short: (brand) => `${brand}: Passt Ihr Abo noch? Hier sehen Sie Ihre Möglichkeiten:`,
  },
  incentive: (incentive) =>
    incentive.kind === "discount"
      ? `Als Dank für Ihre Treue erhalten Sie ${incentive.percentOff} % Rabatt auf ${months(incentive.months)}.`
      : `Als Dank für Ihre Treue schenken wir Ihnen ${days(incentive.days)}.`,
  help: (supportEmail) => `Fragen? Schreiben Sie uns an ${supportEmail}.`,
  linkHint: "Falls der Knopf nicht funktioniert, öffnen Sie diese Adresse:",
  reason: (brand) => `Sie erhalten diese Nachricht, weil Sie ein Abo bei ${brand} haben.`,
  unsubscribe: "Diese Erinnerungen abbestellen",
  stop: "Abmelden: STOP antworten.",
  mark: { first: "", reminder: "Erinnerung: ", last: "Letzte Erinnerung: " },
  unnamed: "unserem Dienst",
  total: (count, amounts) => `Insgesamt sind ${count} Zahlungen offen${amounts === null ? "" : `: ${amounts}`}.`,
}
