import type { Phrases } from "./phrases.ts"

const of = (amount: string | null) => (amount === null ? "" : ` de ${amount}`)
const months = (count: number) => (count === 1 ? "su próximo mes" : `sus próximos ${count} meses`)
const days = (count: number) => (count === 1 ? "un día más" : `${count} días más`)

/** Spanish, in the polite form. */
export const es: Phrases = {
  language: "es",
  greeting: (firstName) => (firstName === null ? "Hola:" : `Hola, ${firstName}:`),
  payment: {
    subject: {
      first: (brand) => `Su pago a ${brand} no se ha completado`,
      reminder: (brand) => `Recordatorio: su pago a ${brand} sigue pendiente`,
      last: (brand) => `Último recordatorio: conserve su suscripción a ${brand}`,
    },
    opening: {
      first: (brand, amount) =>
        `Su último pago${of(amount)} a ${brand} no se ha completado. Suele pasar y se resuelve enseguida.`,
      reminder: (brand, amount) => `Su pago${of(amount)} a ${brand} sigue pendiente.`,
      last: (brand, amount) => `Su pago${of(amount)} a ${brand} lleva varios días pendiente.`,
    },
    ask: {
      update_card: "Revise sus datos de pago o elija otra forma de pago. Solo lleva un minuto.",
      authenticate: "Su banco quiere que usted mismo confirme este pago. Abra el enlace y siga los pasos.",
      wait_for_funds:
        "Puede ayudar comprobar que haya saldo suficiente en su cuenta o tarjeta, o elegir otra forma de pago.",
      call_bank:
        "Su banco lo ha rechazado. Una breve llamada al banco puede resolverlo; también puede elegir otra forma de pago.",
      try_again: "La causa parece pasajera. Puede volver a intentarlo ahora con el enlace de abajo.",
    },
    outcome: {
      first: "En cuanto se complete, nada cambiará para usted.",
      reminder: "En cuanto se complete el pago, todo seguirá como antes.",
      last: "Sin el pago, su suscripción podría terminar pronto. En cuanto se complete, todo seguirá como antes.",
    },
    button: {
      update_card: "Revisar datos de pago",
      authenticate: "Confirmar el pago",
      wait_for_funds: "Ver formas de pago",
      call_bank: "Ver formas de pago",
      try_again: "Volver a intentarlo",
    },
    short: {
      update_card: (brand, amount) => `${brand}: su pago${of(amount)} no se ha completado. Revise sus datos de pago:`,
      authenticate: (brand, amount) => `${brand}: confirme su pago${of(amount)} con su banco:`,
      wait_for_funds: (brand, amount) =>
        `${brand}: su pago${of(amount)} está pendiente. Revise su saldo o pague de otra forma:`,
      call_bank: (brand, amount) =>
        `${brand}: su banco rechazó el pago${of(amount)}. Llame al banco o pague de otra forma:`,
      try_again: (brand, amount) => `${brand}: su pago${of(amount)} no se ha completado. Vuelva a intentarlo:`,
    },
  },
  cancellation: {
    subject: {
      first: (brand) => `Su suscripción a ${brand} va a terminar`,
      reminder: (brand) => `Antes de que termine su suscripción a ${brand}`,
      last: (brand) => `Último recordatorio: su suscripción a ${brand} termina`,
    },
    opening: {
      first: (brand) => `Ha pedido terminar su suscripción a ${brand}. Lamentamos que se vaya.`,
      reminder: (brand) => `Su suscripción a ${brand} terminará como pidió.`,
      last: (brand) => `Su suscripción a ${brand} terminará en breve, como pidió.`,
    },
    ask: "Si ha cambiado de opinión, puede conservarla con un clic. Si algo no fue bien, díganoslo.",
    outcome: {
      first: "Si no hace nada, terminará en la fecha indicada.",
      reminder: "Si no hace nada, terminará en la fecha indicada.",
      last: "Si no hace nada, terminará en la fecha indicada.",
    },
    button: "Conservar mi suscripción",
    short: (brand) => `${brand}: su suscripción va a terminar. ¿Ha cambiado de opinión? Consérvela aquí:`,
  },
  at_risk: {
    subject: {
      first: (brand) => `¿Le da ${brand} lo que necesita?`,
      reminder: (brand) => `¿Podemos ayudarle con ${brand}?`,
      last: (brand) => `Una oferta de ayuda más de ${brand}`,
    },
    opening: {
      first: (brand) => `Nos gustaría saber si ${brand} le da lo que necesita.`,
      reminder: (brand) => `Si ${brand} no es del todo lo que esperaba, nos gustaría ayudarle.`,
      last: (brand) => `Con gusto le ayudamos a sacar más provecho de ${brand}.`,
    },
    ask: "El enlace muestra su suscripción y cómo cambiarla. También puede decirnos simplemente qué le falta.",
    outcome: {
      first: "Si todo va bien, no tiene que hacer nada.",
      reminder: "Si todo va bien, no tiene que hacer nada.",
      last: "Si todo va bien, no tiene que hacer nada.",
    },
    button: "Ver mi suscripción",
    short: (brand) => `${brand}: ¿su suscripción es lo que necesita? Vea sus opciones:`,
  },
  incentive: (incentive) =>
    incentive.kind === "discount"
      ? `Para agradecerle que se quede, le damos un ${incentive.percentOff} % de descuento en ${months(incentive.months)}.`
      : `Para agradecerle que se quede, le regalamos ${days(incentive.days)}.`,
  help: (supportEmail) => `¿Preguntas? Escríbanos a ${supportEmail}.`,
  linkHint: "Si el botón no funciona, abra esta dirección:",
  reason: (brand) => `Recibe este mensaje porque tiene una suscripción con ${brand}.`,
  unsubscribe: "No recibir más estos recordatorios",
  stop: "Responda STOP para no recibir más.",
  mark: { first: "", reminder: "Recordatorio: ", last: "Último recordatorio: " },
  unnamed: "nuestro servicio",
  total: (count, amounts) => `En total hay ${count} pagos pendientes${amounts === null ? "" : `: ${amounts}`}.`,
}
