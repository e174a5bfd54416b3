import type { Phrases } from "./phrases.ts"

const of = (amount: string | null) => (amount === null ? "" : ` de ${amount}`)
const months = (count: number) => (count === 1 ? "su próximo mes" : `sus próximos ${count} meses`)
const days = (count: number) => (count === 1 ? "un día más" : `${count} días más`)

/** Spanish, in the polite form. */
export const es: Phrases = {
  language: "es",
  greeting: (firstName) => (firstName === null ? "Hola:" : `Hola, ${firstName}:`),
  failed: {
    subject: {
      first: ({ brand }) => `Su pago a ${brand} no se ha completado`,
      reminder: ({ brand }) => `Recordatorio: su pago a ${brand} sigue pendiente`,
      last: ({ brand }) => `Último recordatorio: su pago a ${brand} sigue pendiente`,
    },
    opening: {
      first: ({ brand, amount }) =>
        `Su pago${of(amount)} a ${brand} no se ha completado. Suele pasar y se resuelve enseguida.`,
      reminder: ({ brand, amount }) => `Su pago${of(amount)} a ${brand} sigue pendiente.`,
      last: ({ brand, amount }) => `Su pago${of(amount)} a ${brand} lleva varios días pendiente.`,
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
    button: {
      update_card: "Revisar datos de pago",
      authenticate: "Confirmar el pago",
      wait_for_funds: "Ver formas de pago",
      call_bank: "Ver formas de pago",
      try_again: "Volver a intentarlo",
    },
    short: {
      update_card: ({ amount }) => `Su pago${of(amount)} no se ha completado. Revise sus datos de pago:`,
      authenticate: ({ amount }) => `Confirme su pago${of(amount)} con su banco:`,
      wait_for_funds: ({ amount }) => `Su pago${of(amount)} está pendiente. Revise su saldo o pague de otra forma:`,
      call_bank: ({ amount }) => `Su banco rechazó el pago${of(amount)}. Llame al banco o pague de otra forma:`,
      try_again: ({ amount }) => `Su pago${of(amount)} no se ha completado. Vuelva a intentarlo:`,
    },
  },
  overdue: {
    subject: {
      first: ({ brand }) => `Su factura de ${brand} está vencida`,
      reminder: ({ brand }) => `Recordatorio: su factura de ${brand} está vencida`,
      last: ({ brand }) => `Último recordatorio: su factura de ${brand} está vencida`,
    },
    opening: {
      first: ({ brand, amount }) => `Su factura${of(amount)} de ${brand} está vencida.`,
      reminder: ({ brand, amount }) => `Su factura${of(amount)} de ${brand} sigue sin pagar.`,
      last: ({ brand, amount }) => `Su factura${of(amount)} de ${brand} lleva varios días vencida.`,
    },
    ask: "Puede pagarla con el enlace de abajo. Si ya la ha pagado, no tiene que hacer nada.",
    button: "Ver y pagar la factura",
    short: ({ amount }) => `Su factura${of(amount)} está vencida. Puede pagarla aquí:`,
  },
  paid: {
    subscription: {
      first: "En cuanto se complete, nada cambiará para usted.",
      reminder: "En cuanto se complete el pago, todo seguirá como antes.",
      last: "Sin el pago, su suscripción podría terminar. En cuanto se complete, todo seguirá como antes.",
    },
    one_off: {
      first: "En cuanto se complete, no tendrá que hacer nada más.",
      reminder: "En cuanto se complete el pago, no tendrá que hacer nada más.",
      last: "En cuanto se complete el pago, el asunto quedará resuelto.",
    },
  },
  nextAttempt: (date) => `Si no, el pago se volverá a intentar el ${date}.`,
  total: (count, amount) => {
    const open = count === 1 ? "En total hay una factura pendiente" : `En total hay ${count} facturas pendientes`
    return amount === null ? `${open}.` : `${open}, por ${amount}.`
  },
  cancellation: {
    subject: {
      first: ({ brand }) => `Su suscripción a ${brand} va a terminar`,
      reminder: ({ brand }) => `Antes de que termine su suscripción a ${brand}`,
      last: ({ brand }) => `Último recordatorio: conserve su suscripción a ${brand}`,
    },
    opening: {
      first: ({ brand }) => `Ha pedido terminar su suscripción a ${brand}. Lamentamos que se vaya.`,
      reminder: ({ brand }) => `Su suscripción a ${brand} terminará como pidió.`,
      last: ({ brand, endDate }) =>
        `Su suscripción a ${brand} terminará${endDate === null ? " como pidió" : ` el ${endDate}, como pidió`}.`,
    },
    ask: "Si ha cambiado de opinión, puede conservarla con un clic. Si algo no fue bien, díganoslo.",
    outcome: ({ endDate }) =>
      `Si no hace nada, terminará ${endDate === null ? "en la fecha indicada" : `el ${endDate}`}.`,
    button: "Conservar mi suscripción",
    short: () => "Su suscripción va a terminar. ¿Ha cambiado de opinión? Consérvela aquí:",
  },
  at_risk: {
    subject: {
      first: ({ brand }) => `¿Le da ${brand} lo que necesita?`,
      reminder: ({ brand }) => `¿Cómo puede ${brand} ayudarle?`,
      last: ({ brand }) => `Una oferta de ayuda más de ${brand}`,
    },
    opening: {
      first: ({ brand }) => `Nos gustaría saber si ${brand} le da lo que necesita.`,
      reminder: ({ brand }) => `Si ${brand} no es del todo lo que esperaba, nos gustaría ayudarle.`,
      last: ({ brand }) => `Con gusto le ayudamos a sacar más provecho de ${brand}.`,
    },
    ask: "El enlace muestra su suscripción y cómo cambiarla. También puede decirnos simplemente qué le falta.",
    outcome: () => "Si todo va bien, no tiene que hacer nada.",
    button: "Ver mi suscripción",
    short: () => "¿Su suscripción es lo que necesita? Vea sus opciones:",
  },
  incentive: (incentive) =>
    incentive.kind === "discount"
      ? `Para agradecerle que se quede, le damos un ${incentive.percentOff} % de descuento en ${months(incentive.months)}.`
      : `Para agradecerle que se quede, le regalamos ${days(incentive.days)}.`,
  help: (supportEmail) => `¿Preguntas? Escríbanos a ${supportEmail}.`,
  linkHint: "Si el botón no funciona, abra esta dirección:",
  reason: {
    subscription: (brand) => `Recibe este mensaje porque tiene una suscripción con ${brand}.`,
    one_off: (brand) => `Recibe este mensaje porque tiene una factura pendiente de ${brand}.`,
  },
  unsubscribe: "No recibir más estos recordatorios",
  stop: "Responda STOP para no recibir más.",
  from: (brand) => `${brand}:`,
  mark: { first: "", reminder: "Recordatorio: ", last: "Último recordatorio: " },
  unnamed: "nuestro servicio",
}
