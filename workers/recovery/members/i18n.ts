/** The texts of pages for members, in their language. They contain nothing about the member or the company. */

export interface PageTexts {
  readonly language: string
  readonly notFound: PageText
  readonly expired: PageText
  readonly noPage: PageText
  readonly away: PageText
  readonly thanks: PageText
  /** Before the payment page, where a program may have opened the link. */
  readonly proceed: PageText & { readonly button: string }
  readonly confirm: PageText & { readonly button: string }
  readonly done: PageText
  readonly support: (email: string) => string
  readonly supportUnknown: string
}

/** Heading and text of one page. */
export interface PageText {
  readonly title: string
  readonly text: string
}

const en: PageTexts = {
  language: "en",
  notFound: { title: "This link does not work", text: "Please open the link from your message again, in full." },
  expired: { title: "This link has expired", text: "Please use the link in the newest message you have from us." },
  noPage: {
    title: "We could not open the payment page",
    text: "Please try again in a few minutes. Nothing is lost.",
  },
  away: { title: "Please try again in a few minutes", text: "We cannot open this page at the moment." },
  thanks: { title: "Thank you", text: "You can close this page." },
  proceed: {
    title: "One more click",
    text: "The next page is the one of the payment provider, where you can see and change how you pay.",
    button: "Continue",
  },
  confirm: {
    title: "Stop these messages?",
    text: "You will get no more reminders about your payment or subscription. Your subscription itself does not change.",
    button: "Yes, stop",
  },
  done: { title: "Done", text: "You will get no more of these messages." },
  support: (email) => `You can reach support at ${email}.`,
  supportUnknown: "To reach support, reply to the message that brought you here.",
}

const de: PageTexts = {
  language: "de",
  notFound: {
    title: "Dieser Link funktioniert nicht",
    text: "Bitte öffnen Sie den Link aus Ihrer Nachricht noch einmal vollständig.",
  },
  expired: {
    title: "Dieser Link ist abgelaufen",
    text: "Bitte nutzen Sie den Link aus der neuesten Nachricht, die Sie von uns haben.",
  },
  noPage: {
    title: "Die Zahlungsseite ließ sich nicht öffnen",
    text: "Bitte versuchen Sie es in einigen Minuten noch einmal. Es geht nichts verloren.",
  },
  away: {
    title: "Bitte versuchen Sie es in einigen Minuten noch einmal",
    text: "Diese Seite lässt sich gerade nicht öffnen.",
  },
  thanks: { title: "Vielen Dank", text: "Sie können diese Seite schließen." },
  proceed: {
    title: "Noch ein Klick",
    text: "Die nächste Seite ist die des Zahlungsdienstes. Dort sehen und ändern Sie, wie Sie bezahlen.",
    button: "Weiter",
  },
  confirm: {
    title: "Diese Nachrichten abbestellen?",
    text: "Sie erhalten keine Erinnerungen zu Ihrer Zahlung oder Ihrem Abonnement mehr. Am Abonnement selbst ändert sich nichts.",
    button: "Ja, abbestellen",
  },
  done: { title: "Erledigt", text: "Sie erhalten diese Nachrichten nicht mehr." },
  support: (email) => `Den Support erreichen Sie unter ${email}.`,
  supportUnknown: "Den Support erreichen Sie, indem Sie auf die Nachricht antworten, die Sie hierher geführt hat.",
}

const fr: PageTexts = {
  language: "fr",
  notFound: {
    title: "Ce lien ne fonctionne pas",
    text: "Veuillez ouvrir à nouveau le lien complet de votre message.",
  },
  expired: {
    title: "Ce lien a expiré",
    text: "Veuillez utiliser le lien du message le plus récent que vous avez reçu de nous.",
  },
  noPage: {
    title: "La page de paiement n’a pas pu s’ouvrir",
    text: "Veuillez réessayer dans quelques minutes. Rien n’est perdu.",
  },
  away: {
    title: "Veuillez réessayer dans quelques minutes",
    text: "Cette page ne peut pas s’ouvrir pour le moment.",
  },
  thanks: { title: "Merci", text: "Vous pouvez fermer cette page." },
  proceed: {
    title: "Encore un clic",
    text: "La page suivante est celle du service de paiement, où vous pouvez voir et modifier votre moyen de paiement.",
    button: "Continuer",
  },
  confirm: {
    title: "Ne plus recevoir ces messages ?",
    text: "Vous ne recevrez plus de rappels au sujet de votre paiement ou de votre abonnement. L’abonnement lui-même ne change pas.",
    button: "Oui, ne plus recevoir",
  },
  done: { title: "C’est fait", text: "Vous ne recevrez plus ces messages." },
  support: (email) => `Vous pouvez joindre l’assistance à l’adresse ${email}.`,
  supportUnknown: "Pour joindre l’assistance, répondez au message qui vous a conduit ici.",
}

const es: PageTexts = {
  language: "es",
  notFound: { title: "Este enlace no funciona", text: "Abra de nuevo el enlace completo de su mensaje." },
  expired: {
    title: "Este enlace ha caducado",
    text: "Utilice el enlace del mensaje más reciente que haya recibido de nosotros.",
  },
  noPage: {
    title: "No hemos podido abrir la página de pago",
    text: "Inténtelo de nuevo en unos minutos. No se pierde nada.",
  },
  away: { title: "Inténtelo de nuevo en unos minutos", text: "Ahora mismo no se puede abrir esta página." },
  thanks: { title: "Gracias", text: "Puede cerrar esta página." },
  proceed: {
    title: "Un clic más",
    text: "La página siguiente es la del servicio de pago, donde puede ver y cambiar su forma de pago.",
    button: "Continuar",
  },
  confirm: {
    title: "¿Dejar de recibir estos mensajes?",
    text: "No recibirá más recordatorios sobre su pago o su suscripción. La suscripción en sí no cambia.",
    button: "Sí, dejar de recibirlos",
  },
  done: { title: "Hecho", text: "No recibirá más mensajes de este tipo." },
  support: (email) => `Puede contactar con el servicio de atención en ${email}.`,
  supportUnknown: "Para contactar con el servicio de atención, responda al mensaje que le ha traído hasta aquí.",
}

const LANGUAGES: ReadonlyMap<string, PageTexts> = new Map([en, de, fr, es].map((texts) => [texts.language, texts]))

/** Browsers send a handful; more are ignored. */
const RANGES_MAX = 20

/** The texts in the preferred language of an `Accept-Language` header, else in English. Never throws. */
export function pageTextsFor(acceptLanguage: string | undefined): PageTexts {
  const preferred = (acceptLanguage ?? "")
    .split(",", RANGES_MAX)
    .map((range) => {
      const [tag = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase())
      const weight = parameters.find((parameter) => parameter.startsWith("q="))
      return { language: tag.split("-")[0] ?? "", quality: weight === undefined ? 1 : Number(weight.slice(2)) }
    })
    .filter(({ language, quality }) => quality > 0 && LANGUAGES.has(language))
    .sort((a, b) => b.quality - a.quality)
  return LANGUAGES.get(preferred[0]?.language ?? "") ?? en
}
