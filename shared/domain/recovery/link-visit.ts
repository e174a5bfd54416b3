/**
 * Who opens a link of a message: a person, or a program. Mail hosts open every link of a message within seconds to scan for
 * malware, and messengers to show a preview; such a request is not a click, and opens no session at the provider. Pure.
 */

/** What a request for a link reveals about its client. Header values as received; null where there is none. */
export interface LinkVisit {
  readonly method: string
  readonly userAgent: string | null
  /** `Sec-Purpose` and the older `Purpose` and `X-Moz`. */
  readonly purpose: string | null
  readonly secFetchMode: string | null
  readonly secFetchDest: string | null
  readonly accept: string | null
  readonly acceptLanguage: string | null
  /** Seconds since the message was sent; null: not known. */
  readonly secondsSinceSent: number | null
}

/**
 * `person`: a click; recorded and redirected. `scanner`: gets a page without any effect. `unclear`: gets a page with one
 * button, which counts as the click.
 */
export type Visitor = "person" | "scanner" | "unclear"

/** Scanners open a link when the message is delivered; a person who opens it within this time uses a browser. */
export const SCAN_WINDOW_SECONDS = 60
/** A browser without the usual headers counts as a person after this time. */
const QUICK_SECONDS = 10

/** Programs that open links automatically, by user agent. */
export const SCANNER_AGENTS: readonly (readonly [pattern: RegExp, source: string])[] = [
  [
    /SafeLinks|ms-office|MSOffice|Microsoft Office|SkypeUriPreview|BingPreview|Teams/i,
    "Microsoft: Safe Links, Office, Teams",
  ],
  [/Proofpoint|URLDefense|ppserver/i, "Proofpoint URL Defense"],
  [/Mimecast/i, "Mimecast URL Protect"],
  [/Barracuda|BarracudaCentral/i, "Barracuda Link Protection"],
  [
    /Symantec|MessageLabs|TrendMicro|FireEye|Sophos|Forcepoint|Fortinet|Cisco|IronPort|Zscaler|Kaspersky|Avast/i,
    "mail security gateways",
  ],
  [
    /GoogleImageProxy|Google-Safety|Google-Read-Aloud|Googlebot|GoogleOther|Google-Apps|FeedFetcher/i,
    "developers.google.com/search/docs/crawling-indexing: Google's fetchers",
  ],
  [/YahooMailProxy|YahooCacheSystem|Yahoo!? Slurp/i, "Yahoo Mail"],
  [/Slackbot|Slack-ImgProxy/i, "api.slack.com/robots"],
  [
    /WhatsApp|facebookexternalhit|facebookcatalog|meta-external/i,
    "developers.facebook.com/docs/sharing/webmasters/web-crawlers",
  ],
  [
    /TelegramBot|Twitterbot|LinkedInBot|Discordbot|Pinterestbot|SnapchatAds|redditbot|Viber|vkShare|Embedly|Iframely/i,
    "messengers and networks: previews",
  ],
  [
    /bot\b|crawl|spider|scanner|preview|prefetch|fetcher|monitor|validator|urlscan|virustotal/i,
    "words in the names of robots (RFC 9309)",
  ],
  [/Headless|PhantomJS|Puppeteer|Playwright|Selenium|Electron/i, "automated browsers"],
  [
    /^(?:curl|Wget|python|aiohttp|httpx|Go-http-client|Java|okhttp|Apache-HttpClient|libwww|Ruby|axios|got|PostmanRuntime|HTTPie|Dart|PHP|Guzzle|Scrapy|Faraday|Jakarta)/i,
    "libraries of programming languages",
  ],
]

/** One row of the table. */
interface Rule {
  readonly rule: string
  readonly why: string
  readonly visitor: Visitor
  readonly holds: (visit: LinkVisit) => boolean
}

const isWithin = (seconds: number, { secondsSinceSent }: LinkVisit): boolean =>
  secondsSinceSent !== null && secondsSinceSent < seconds

const isBrowser = ({ userAgent }: LinkVisit): boolean => /^Mozilla\/\d/.test(userAgent ?? "")

/** The headers that a browser sends for a navigation. Gateways that pretend to be a browser mostly omit them. */
const isNavigation = ({ secFetchMode, secFetchDest, accept, acceptLanguage }: LinkVisit): boolean =>
  (secFetchMode === "navigate" && (secFetchDest ?? "document") === "document") ||
  (acceptLanguage !== null && /text\/html/i.test(accept ?? ""))

/** The rules in order: the first that applies decides. The last one always applies. */
export const LINK_VISIT_RULES: readonly Rule[] = [
  {
    rule: "not a GET",
    why: "Link checkers send HEAD; a person's browser does not.",
    visitor: "scanner",
    holds: ({ method }) => method !== "GET",
  },
  {
    rule: "prefetch",
    why: "The browser prefetches the link (Sec-Purpose: prefetch); nobody has clicked yet.",
    visitor: "scanner",
    holds: ({ purpose }) => /prefetch|prerender|preview/i.test(purpose ?? ""),
  },
  {
    rule: "known scanner",
    why: "Its user agent names it.",
    visitor: "scanner",
    holds: ({ userAgent }) => SCANNER_AGENTS.some(([pattern]) => pattern.test(userAgent ?? "")),
  },
  {
    rule: "a browser that opens a page",
    why: "It sends the headers of a navigation.",
    visitor: "person",
    holds: (visit) => isBrowser(visit) && isNavigation(visit),
  },
  {
    rule: "a browser without a browser's headers, at once",
    why: "Gateways pretend to be a browser and open the link when the message arrives.",
    visitor: "unclear",
    holds: (visit) => isBrowser(visit) && isWithin(QUICK_SECONDS, visit),
  },
  {
    rule: "a browser without a browser's headers, later",
    why: "Old browsers and privacy tools omit them; scanners do not wait.",
    visitor: "person",
    holds: isBrowser,
  },
  {
    rule: "another program within the scan window",
    why: "Neither a browser nor a known scanner, at a time when scanners open links.",
    visitor: "unclear",
    holds: (visit) => isWithin(SCAN_WINDOW_SECONDS, visit),
  },
  {
    rule: "another program, later",
    why: "Rare mail programs have their own user agent; scanners do not wait that long.",
    visitor: "person",
    holds: () => true,
  },
]

/** Who opens the link, by the first rule that applies. */
export const visitorOf = (visit: LinkVisit): Visitor =>
  LINK_VISIT_RULES.find(({ holds }) => holds(visit))?.visitor ?? "unclear"
