/** Setup intents: a member saved a payment method. */
import { err, ok } from "../../../../shared/result.ts"
import { customerSeen, type EventReader, notUsed, ownId } from "../events/event-reading.ts"
import { relatedId } from "../events/fields.ts"

/** Reads `setup_intent.*`; only one that succeeded added a payment method. */
export const readSetupIntent: EventReader = ({ kind, data }) => {
  if (kind !== "setup_intent.succeeded") return notUsed(data)
  const id = ownId(data, "setup intent")
  if (!id.ok) return id
  const paymentMethodId = relatedId(data, "payment_method")
  if (paymentMethodId === null) return err("setup intent names no payment method")
  return ok({
    facts: [customerSeen(data), { kind: "payment_method_added", paymentMethodId }],
    subject: data,
    objects: [relatedId(data, "member"), id.value],
  })
}
