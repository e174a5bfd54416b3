/**
 * Links in messages: open the provider's page, or unsubscribe. The token in the link is the member's only credential; an
 * invalid link does not reveal why.
 */

import { type Context, Hono } from "hono"
import type { Stream } from "../../../db/queries/recovery/ledger-pages.ts"
import { loadStream } from "../../../db/queries/recovery/stream.ts"
import type { Fact } from "../../../shared/domain/facts.ts"
import { brandOf } from "../../../shared/domain/messaging/messages/clean.ts"
import { type LinkVisit, visitorOf } from "../../../shared/domain/recovery/link-visit.ts"
import { settingsOf } from "../../../shared/domain/settings.ts"
import { findCase } from "../../../shared/domain/state.ts"
import { withTimeout } from "../../../shared/network/with-timeout.ts"
import { signToken, type TokenClaims, type TokenPurpose, verifyToken } from "../../../shared/tokens.ts"
import { AppError } from "../../platform/errors.ts"
import { limitBody } from "../../platform/http/limit-body.ts"
import { limitRequests } from "../../platform/limits/clients.ts"
import { buckets, clicksLimit, linksLimit } from "../../platform/limits/limits.ts"
import { apiForSubject } from "../../platform/provider-accounts.ts"
import type { AppEnv, Services } from "../../platform/services.ts"
import { lookOfShown, shownCompany } from "../../platform/shown-company.ts"
import { advance } from "../advance.ts"
import { decryptContact } from "../customers/customer-contact.ts"
import { stateOf } from "../stream-state.ts"
import { memberHeaders, type PageCompany, page } from "./page.ts"
import { safeRedirect } from "./safe-redirect.ts"

/** How long a click waits for the provider's API; after that the stored page is used. */
const PROVIDER_WAIT_MS = 3_000

/** A page is complete without the company's name and logo. */
const COMPANY_WAIT_MS = 2_000

/** A one-click request is one line; our own form is empty. */
const BODY_BYTES_MAX = 4 * 1024

const RETRY_AFTER_SECONDS = 30

export const members = new Hono<AppEnv>()
  .use("/r/:token", limitRequests(linksLimit))
  .use("/unsubscribe/:token", limitRequests(linksLimit))
  .use("/thanks", limitRequests(linksLimit))
  .use("/thanks/:token", limitRequests(linksLimit))
  .get("/r/:token", async (c) => {
    const claims = await claimsOf(c, "link")
    if (claims instanceof Response) return claims
    // A known scanner is recognized without reading the database.
    if (visitorOf(visitOf(c, null)) === "scanner") return proceedPage(c, null)

    const stream = await streamOf(c.get("services"), claims)
    if (stream === "away") return away(c)
    if (stream === null) return notFound(c)
    if (isOver(stream, claims)) return thanks(c, claims)
    const visitor = visitorOf(visitOf(c, secondsSinceSent(c.get("services"), stream, claims)))
    return visitor === "person" ? follow(c, stream, claims, 302) : proceedPage(c, await companyOf(c, claims))
  })
  // The button of the page above: programs that check links submit no forms.
  .post("/r/:token", async (c) => {
    const claims = await claimsOf(c, "link")
    if (claims instanceof Response) return claims
    const stream = await streamOf(c.get("services"), claims)
    if (stream === "away") return away(c)
    if (stream === null) return notFound(c)
    if (isOver(stream, claims)) return thanks(c, claims)
    return follow(c, stream, claims, 303)
  })
  .get("/thanks", (c) => thanks(c, null))
  // The provider returns the member here; the token says only whose page it is.
  .get("/thanks/:token", async (c) => {
    const { config, now } = c.get("services")
    const verified = await verifyToken(config.keys.tokenSigning, "thanks", c.req.param("token"), now())
    return thanks(c, verified.ok ? verified.value : null)
  })
  .get("/unsubscribe/:token", async (c) => {
    const claims = await claimsOf(c, "unsubscribe")
    if (claims instanceof Response) return claims
    const company = await companyOf(c, claims)
    return page(c, { content: (texts) => texts.confirm, status: 200, company, button: (texts) => texts.confirm.button })
  })
  .post("/unsubscribe/:token", limitBody(BODY_BYTES_MAX), async (c) => {
    const claims = await claimsOf(c, "unsubscribe")
    if (claims instanceof Response) return claims
    const body = await c.req.text()
    // RFC 8058: mail programs send this field; our own form is empty.
    await optOut(c.get("services"), claims, body.includes("List-Unsubscribe") ? "one_click" : "page")
    return page(c, { content: (texts) => texts.done, status: 200, company: await companyOf(c, claims) })
  })

/** The case is closed: there is nothing to do, and a link that somebody found must not open the provider's page. */
const isOver = (stream: Stream, { caseId }: TokenClaims): boolean =>
  findCase(stateOf(stream), caseId)?.status !== "open"

/** A click: recorded, and redirected to the page where the member can pay. */
async function follow(c: Context<AppEnv>, stream: Stream, claims: TokenClaims, status: 302 | 303): Promise<Response> {
  const services = c.get("services")
  services.waitUntil(recordClick(services, stream, claims))
  const target = await paymentPage(services, stream, claims)
  if (target !== null) return new Response(null, { status, headers: { ...memberHeaders(null), location: target } })
  const { supportEmail } = settingsOf(stream)
  return page(c, {
    ...{ content: (texts) => texts.noPage, status: 200, supportEmail },
    company: await companyOf(c, claims),
  })
}

const thanks = async (c: Context<AppEnv>, claims: TokenClaims | null): Promise<Response> =>
  page(c, { content: (texts) => texts.thanks, status: 200, company: claims && (await companyOf(c, claims)) })

/** A page with one button. Nothing is recorded, and the provider's API is not called. */
function proceedPage(c: Context<AppEnv>, company: PageCompany | null): Response | Promise<Response> {
  const { stripe, whop } = c.get("services").providers
  const formHosts = [...stripe.redirectHosts, ...whop.redirectHosts]
  return page(c, {
    ...{ content: (texts) => texts.proceed, status: 200, company },
    ...{ button: (texts) => texts.proceed.button, formHosts },
  })
}

/** The company of a link; null while the database is unavailable: the page is shown without its name then. */
async function companyOf(c: Context<AppEnv>, { companyId }: TokenClaims): Promise<PageCompany | null> {
  const services = c.get("services")
  try {
    const company = await withTimeout(COMPANY_WAIT_MS, shownCompany(services, companyId))
    return company && { brandName: brandOf(company.brandName), look: lookOfShown(company, "") }
  } catch (error) {
    services.log.warn("member_page_company_read_failed", { companyId, error })
    return null
  }
}

function visitOf(c: Context<AppEnv>, secondsSinceSent: number | null): LinkVisit {
  const header = (name: string) => c.req.header(name) ?? null
  return {
    method: c.req.method,
    userAgent: header("user-agent"),
    purpose: header("sec-purpose") ?? header("purpose") ?? header("x-moz"),
    secFetchMode: header("sec-fetch-mode"),
    secFetchDest: header("sec-fetch-dest"),
    accept: header("accept"),
    acceptLanguage: header("accept-language"),
    secondsSinceSent,
  }
}

/** How long ago the message of this link was sent; null: not known. */
function secondsSinceSent({ now }: Services, { nudges }: Stream, { nudgeId }: TokenClaims): number | null {
  const sentAt = nudges.find(({ id }) => id === nudgeId)?.sentAt ?? null
  return sentAt === null ? null : (now().getTime() - Date.parse(sentAt)) / 1_000
}

/** The claims of the token, or the page for an invalid or expired link. */
async function claimsOf(c: Context<AppEnv>, purpose: TokenPurpose): Promise<TokenClaims | Response> {
  const { config, now } = c.get("services")
  const verified = await verifyToken(config.keys.tokenSigning, purpose, c.req.param("token") ?? "", now())
  if (verified.ok) return verified.value
  return verified.error.reason === "expired" ? page(c, { content: (texts) => texts.expired, status: 410 }) : notFound(c)
}

const notFound = (c: Context<AppEnv>) => page(c, { content: (texts) => texts.notFound, status: 404 })

const away = (c: Context<AppEnv>) =>
  page(c, { content: (texts) => texts.away, status: 503, headers: { "retry-after": String(RETRY_AFTER_SECONDS) } })

/** The customer of a link; null when it no longer exists, `away` when the database is unavailable. */
async function streamOf(services: Services, claims: TokenClaims): Promise<Stream | "away" | null> {
  const { companyId, customerId } = claims
  try {
    return await loadStream(services.db, companyId, customerId, { whole: false })
  } catch (error) {
    services.log.warn("provider_member_read_failed", { companyId, customerId, error })
    return "away"
  }
}

/**
 * Records a click. The member does not wait for it, and an error loses it. Clicks of one customer beyond the hourly limit
 * are logged and not recorded.
 */
async function recordClick(services: Services, stream: Stream, { caseId, nudgeId }: TokenClaims): Promise<void> {
  const customer = `${stream.companyId}|${stream.customer.id}`
  if (buckets.take(clicksLimit, customer, services.now().getTime()).isOver) {
    services.log.warn("click_record_failed", { companyId: stream.companyId, caseId, reason: "too_many" })
    return
  }
  const second = wholeSecond(services.now())
  const id = `link_clicked:${nudgeId ?? caseId}:${second.number}`
  const click: Fact = { kind: "link_clicked", id, occurredAt: second.at, caseId, nudgeId }
  try {
    await advance(services, stream, { events: [], factIds: [], contactUpdates: [], ownFacts: [click] })
  } catch (error) {
    services.log.warn("click_record_failed", { companyId: stream.companyId, caseId, error })
  }
}

/** Where this customer can pay: a page opened now, else the stored one, else the provider's general page for members. */
async function paymentPage(services: Services, stream: Stream, claims: TokenClaims): Promise<string | null> {
  const { config, log } = services
  const { companyId, customer } = stream
  const { provider, providerCustomerId: subject } = customer
  const { caseId } = claims
  const { redirectHosts, memberPage } = services.providers[provider]
  const fields = { companyId, caseId, provider }
  try {
    const open = async (): Promise<string | null> => {
      const api = await apiForSubject(services, { companyId, provider, subject })
      const subscriptionId = findCase(stateOf(stream), caseId)?.subscriptionId ?? null
      const returnUrl = `${config.appUrl}/thanks/${await signToken(config.keys.tokenSigning, { ...claims, purpose: "thanks" })}`
      return api === null ? null : api.paymentPage({ customer: subject, subscriptionId, returnUrl })
    }
    const opened = await withTimeout(PROVIDER_WAIT_MS, open())
    const target = safeRedirect(opened, redirectHosts)
    if (target !== null) return target
    if (opened !== null) log.error("payment_page_refused", { ...fields, source: "provider_api" })
  } catch (error) {
    log.warn("payment_page_failed", { ...fields, error })
  }
  try {
    const { paymentPageUrl } = await decryptContact(config.keys.encryption, stream)
    return safeRedirect(paymentPageUrl, redirectHosts) ?? memberPage
  } catch (error) {
    log.error("contact_decrypt_failed", { ...fields, error })
    return memberPage
  }
}

/** Records the opt-out before the response; repeating it changes nothing. Throws UNAVAILABLE when it was not recorded. */
async function optOut(services: Services, claims: TokenClaims, via: "one_click" | "page"): Promise<void> {
  const { companyId, customerId, caseId, nudgeId } = claims
  const second = wholeSecond(services.now())
  const id = `opted_out:${nudgeId ?? caseId}:${second.number}`
  try {
    const stream = await loadStream(services.db, companyId, customerId, { whole: false })
    // The customer no longer exists, or has already opted out.
    if (stream === null || stateOf(stream).outreach.optedOutAt !== null) return
    const optedOut: Fact = { kind: "opted_out", id, occurredAt: second.at, caseId, via }
    await advance(services, stream, { events: [], factIds: [], contactUpdates: [], ownFacts: [optedOut] })
    services.log.info("opted_out", { companyId, customerId, source: via })
  } catch (cause) {
    throw new AppError("UNAVAILABLE", "Your wish could not be stored now. Please try again in a minute.", {
      reason: "opt_out_not_stored",
      retryAfterSeconds: RETRY_AFTER_SECONDS,
      cause,
    })
  }
}

/** The second of an event: a repetition within it has the same id and time, so that it is recorded once. */
function wholeSecond(now: Date): { readonly number: number; readonly at: string } {
  const number = Math.floor(now.getTime() / 1_000)
  return { number, at: new Date(number * 1_000).toISOString() }
}
