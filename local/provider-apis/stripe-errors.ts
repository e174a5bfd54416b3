import { jsonReply, type Reply } from "../faults.ts"

/** An error in the form of Stripe's API. */
export function stripeError(
  status: number,
  error: {
    readonly type: "invalid_request_error" | "idempotency_error" | "api_error"
    readonly message: string
    readonly code?: string
    readonly param?: string
  },
): Reply {
  const docUrl = error.code ? { doc_url: `https://stripe.com/docs/error-codes/${error.code.replaceAll("_", "-")}` } : {}
  return jsonReply({ error: { ...docUrl, ...error } }, status)
}

/** 404 for an object in the path, 400 for one in a parameter. */
export function resourceMissing(kind: string, id: string, { param = "id", status = 404 } = {}): Reply {
  return stripeError(status, {
    type: "invalid_request_error",
    code: "resource_missing",
    message: `No such ${kind}: '${id}'`,
    param,
  })
}

/** A missing required parameter. */
export function parameterMissing(param: string): Reply {
  return stripeError(400, {
    type: "invalid_request_error",
    code: "parameter_missing",
    message: `Missing required param: ${param}.`,
    param,
  })
}
