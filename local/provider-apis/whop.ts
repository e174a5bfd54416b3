import {
  type Faults,
  type FaultTarget,
  jsonReply,
  type Listening,
  type Reply,
  type StandInRequest,
  serve,
} from "../faults.ts"
import { headerOf } from "../loopback.ts"
import { accountOfKey, bearerOf } from "../own-key.ts"
import { answerObjectSetup, createObjects, parseObject } from "./objects.ts"
import type { ProviderApi, ProviderApiOptions, ProviderApiServer } from "./stripe.ts"
import { handleWhop, whopError } from "./whop-routes.ts"

/** The end of the SDK's base URL; paths are accepted with and without it. */
export const WHOP_BASE_PATH = "/api/v1"

/**
 * A local replacement of Whop's API: memberships and payments, push notifications and direct messages. The last two go
 * to the mailbox and fail with their channels' switches. It has no idempotency keys: two equal requests have two
 * effects.
 */
export async function startWhopApi({
  faults,
  onRequest,
  ...options
}: ProviderApiOptions & {
  readonly faults: Faults
  readonly onRequest?: (target: FaultTarget) => void
}): Promise<ProviderApiServer> {
  const { objects, answer, clear } = createWhopApi({ ...options, ...(onRequest && { onRequest }) })
  const server: Listening = await serve(undefined, (req, res) =>
    faults.intercept(whopTarget(req), req, res, (body) => answer(req, body)),
  )
  return { ...server, objects, clear }
}

/** The same without a server. `onRequest` is not called for objects that a test creates. */
export function createWhopApi({
  mailbox,
  apiKey,
  now,
  adoptsUnknown = true,
  onRequest,
}: ProviderApiOptions & { readonly onRequest?: (target: FaultTarget) => void }): ProviderApi {
  const objects = createObjects()

  function answer(req: StandInRequest, body: Buffer): Reply {
    const [rawPath = "/", query = ""] = (req.url ?? "/").split("?", 2)
    const path = pathOf(req)
    const method = req.method ?? "GET"
    const target = targetOf(path)
    const setup = answerObjectSetup(objects, method, path, body)
    if (setup) return setup
    onRequest?.(target)
    const account = accountOfKey(bearerOf(headerOf(req, "authorization")) ?? "", apiKey)
    if (account === null) {
      return whopError(401, "unauthorized", "The API key is missing or not valid.")
    }
    const idempotencyKey = headerOf(req, "idempotency-key")
    const params = new URLSearchParams(query)
    const content = parseObject(body) ?? {}
    const company = /^\/companies\/([^/]+)$/.exec(path)?.[1]
    if (method === "GET" && company !== undefined) return companyReply(company, account)
    const reply = handleWhop(
      { method, path, query: params, body: content, idempotencyKey },
      { objects, mailbox, now, adoptsUnknown },
    )
    mailbox.record({
      provider: "whop",
      target,
      method,
      path: rawPath,
      account: account === "" ? null : account,
      body: method === "GET" ? Object.fromEntries(params) : content,
      idempotencyKey,
      status: reply.status,
      isReplay: false,
    })
    return reply
  }

  return { objects, answer, clear: objects.clear }
}

/** A key reads its own company only; the world's key reads any. */
const companyReply = (company: string, account: string): Reply =>
  account === "" || account === company
    ? jsonReply({ id: company, title: company })
    : whopError(403, "forbidden", "The API key has no access to this company.")

/** The target of a request to Whop: its API, or one of its two channels. */
export const whopTarget = (req: StandInRequest): FaultTarget => targetOf(pathOf(req))

const pathOf = (req: StandInRequest): string =>
  ((req.url ?? "/").split("?", 1)[0] ?? "/").replace(/^(\/api)?\/v\d+(?=\/)/, "")

function targetOf(path: string): FaultTarget {
  if (path.startsWith("/notifications")) return "push"
  if (path.startsWith("/dm_channels") || path.startsWith("/messages")) return "dm"
  return "whop-api"
}
