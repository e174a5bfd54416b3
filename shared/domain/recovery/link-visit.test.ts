import { expect, test } from "vitest"
import { LINK_VISIT_RULES, type LinkVisit, SCAN_WINDOW_SECONDS, visitorOf } from "./link-visit.ts"

const CHROME =
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
const HTML = "text/html,application/xhtml+xml"
const HOUR = 3_600

const visit = (change: Partial<LinkVisit>): LinkVisit => ({
  ...{ method: "GET", userAgent: null, purpose: null, secFetchMode: null, secFetchDest: null },
  ...{ accept: "*/*", acceptLanguage: null, secondsSinceSent: 2 },
  ...change,
})

const NAVIGATION = { secFetchMode: "navigate", secFetchDest: "document", accept: HTML, acceptLanguage: "en" } as const

const IMAGE = { secFetchMode: "navigate", secFetchDest: "image" } as const

/** Row by row: the rule that decides, and a visit it decides. */
const ROWS: readonly (readonly [rule: string, visitor: string, change: Partial<LinkVisit>])[] = [
  ["not a GET", "scanner", { method: "HEAD", userAgent: CHROME, ...NAVIGATION, secondsSinceSent: HOUR }],
  ["prefetch", "scanner", { userAgent: CHROME, ...NAVIGATION, purpose: "prefetch;prerender", secondsSinceSent: HOUR }],
  ["prefetch", "scanner", { userAgent: CHROME, ...NAVIGATION, purpose: "prefetch" }],
  ["known scanner", "scanner", { userAgent: `${CHROME} SafeLinks`, ...NAVIGATION, secondsSinceSent: HOUR }],
  ["a browser that opens a page", "person", { userAgent: CHROME, ...NAVIGATION }],
  ["a browser that opens a page", "person", { userAgent: CHROME, accept: HTML, acceptLanguage: "de" }],
  ["a browser that opens a page", "person", { userAgent: CHROME, ...NAVIGATION, secondsSinceSent: null }],
  ["a browser that opens a page", "person", { userAgent: CHROME, secFetchMode: "navigate", secFetchDest: "document" }],
  ["a browser that opens a page", "person", { userAgent: CHROME, secFetchMode: "navigate" }],
  ["a browser without a browser's headers, at once", "unclear", { userAgent: CHROME }],
  ["a browser without a browser's headers, at once", "unclear", { userAgent: CHROME, ...IMAGE }],
  ["a browser without a browser's headers, at once", "unclear", { userAgent: CHROME, acceptLanguage: "de" }],
  ["a browser without a browser's headers, at once", "unclear", { userAgent: CHROME, accept: HTML }],
  [
    "a browser without a browser's headers, at once",
    "unclear",
    { userAgent: CHROME, accept: null, acceptLanguage: "de" },
  ],
  ["another program within the scan window", "unclear", { userAgent: `reader ${CHROME}` }],
  ["a browser without a browser's headers, at once", "unclear", { userAgent: CHROME, secFetchMode: "no-cors" }],
  ["a browser without a browser's headers, later", "person", { userAgent: CHROME, secondsSinceSent: 10 }],
  ["a browser without a browser's headers, later", "person", { userAgent: CHROME, secondsSinceSent: null }],
  ["another program within the scan window", "unclear", { userAgent: "node" }],
  ["another program within the scan window", "unclear", { userAgent: null, secondsSinceSent: SCAN_WINDOW_SECONDS - 1 }],
  ["another program, later", "person", { userAgent: "node", secondsSinceSent: SCAN_WINDOW_SECONDS }],
  ["another program, later", "person", { userAgent: null, secondsSinceSent: null }],
]

test.each(ROWS)("%s: %s %j", (rule, visitor, change) => {
  expect(LINK_VISIT_RULES.find(({ holds }) => holds(visit(change)))?.rule).toBe(rule)
  expect(visitorOf(visit(change))).toBe(visitor)
})

test("every rule has its row", () => {
  expect(new Set(ROWS.map(([rule]) => rule))).toEqual(new Set(LINK_VISIT_RULES.map(({ rule }) => rule)))
})

test.each([
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) BingPreview/1.0b Safari/537.36",
  "Mozilla/4.0 (compatible; ms-office; MSOffice 16)",
  "Mozilla/5.0 (compatible; SkypeUriPreview Preview/0.5)",
  "Mozilla/5.0 (compatible; Proofpoint URL Defense)",
  "Mimecast URL Protect",
  "BarracudaCentral/1.0",
  "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
  "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
  "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
  "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
  "WhatsApp/2.24.20.89 A",
  "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
  "TelegramBot (like TwitterBot)",
  "Twitterbot/1.0",
  "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
  "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36",
  "curl/8.5.0",
  "Wget/1.21.4",
  "python-requests/2.32.3",
  "Python-urllib/3.12",
  "Go-http-client/2.0",
  "okhttp/4.12.0",
  "axios/1.7.2",
  "Java/17.0.2",
])("%s is a scanner at any time", (userAgent) => {
  expect(visitorOf(visit({ userAgent, ...NAVIGATION, secondsSinceSent: HOUR }))).toBe("scanner")
})

test.each([
  CHROME,
  "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1",
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:145.0) Gecko/20100101 Firefox/145.0",
  "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
])("%s is a person at once", (userAgent) => {
  expect(visitorOf(visit({ userAgent, ...NAVIGATION, secondsSinceSent: 0 }))).toBe("person")
})
