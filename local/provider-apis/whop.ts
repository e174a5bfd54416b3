import type { Mailbox } from "../channels/mailbox.ts"
import { type Faults, type FaultTarget, type Listening, type Reply, serve } from "../faults.ts"
import { headerOf } from "../loopback.ts"
import { answerPlanting, createObjects, parseObject } from "./objects.ts"
import type { ProviderApiServer } from "./stripe.ts"
import { answerWhop, whopError } from "./whop-routes.ts"

/** The SDK's base URL ends with this; paths are accepted with and without it. */
export const WHOP_BASE_PATH = "/api/v1"

/**
 * Stands in for Whop's API: memberships and payments, push notifications and direct messages. The last two go to the
 * mailbox and fail with the switches of their channels. It knows no idempotency key: two equal requests have two effects.
 */
export async function startWhopApi({
  mailbox,
  faults,
  apiKey,
  now,
  adoptsUnknown = true,
  onRequest,
}: {
  readonly mailbox: Mailbox
  readonly faults: Faults
  readonly apiKey: string
  readonly now: () => Date
  readonly adoptsUnknown?: boolean
  readonly onRequest?: (target: FaultTarget) => void
}): Promise<ProviderApiServer> {
  const objects = createObjects()
  const server: Listening = await serve(undefined, async (req, res) => {
    const [rawPath = "/", query = ""] = (req.url ?? "/").split("?", 2)
    const path = rawPath.replace(/^(\/api)?\/v\d+(?=\/)/, "")
    const method = req.method ?? "GET"
    const target = targetOf(path)
    await faults.intercept(target, req, res, (body): Reply => {
      const planted = answerPlanting(objects, method, path, body)
      if (planted) return planted
      onRequest?.(target)
      if (headerOf(req, "authorization") !== `Bearer ${apiKey}`) {
        return whopError(401, "unauthorized", "The API key is missing or not valid.")
      }
      const idempotencyKey = headerOf(req, "idempotency-key")
      const params = new URLSearchParams(query)
      const content = parseObject(body) ?? {}
      const reply = answerWhop(
        { method, path, query: params, body: content, idempotencyKey },
        { objects, mailbox, now, adoptsUnknown },
      )
      mailbox.record({
        provider: "whop",
        target,
        method,
        path: rawPath,
        body: method === "GET" ? Object.fromEntries(params) : content,
        idempotencyKey,
        status: reply.status,
        isReplay: false,
      })
      return reply
    })
  })
  return { ...server, objects, clear: objects.clear }
}

function targetOf(path: string): FaultTarget {
  if (path.startsWith("/notifications")) return "push"
  if (path.startsWith("/dm_channels") || path.startsWith("/messages")) return "dm"
  return "whop-api"
}
