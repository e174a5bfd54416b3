/**
 * The environment, parsed once at start. One error names all missing and wrong variables, with what is expected but
 * never with their values. Libraries that read the environment themselves get everything explicitly. One file of more
 * than 300 lines, so that the type, the schema and the mapping of a variable are together.
 */
import * as z from "zod"
import { parseMailbox } from "./contact/mailbox.ts"
import { type KeyRing, parseKeyRing } from "./crypto/key-ring.ts"
import type { Environment, SwitchName } from "./domain/flags.ts"

/** Which of a provider's events are processed: those of live mode, of test mode (Whop: its sandbox), or both. */
export type ProviderMode = "live" | "test" | "any"

/** One provider: the signing secrets of its webhooks, and its API. Without secrets or key it is not in use. */
export interface ProviderConfig {
  readonly webhookSecrets: readonly string[]
  readonly apiKey: string | null
  readonly apiUrl: string
  readonly mode: ProviderMode
}

/**
 * Which accounts' events the deployment's own Whop endpoint accepts: only `registered` ones and its own, or `any`, when
 * its secret belongs to one company's webhook, so that all events belong to that company.
 */
export type WhopAccounts = "registered" | "any"

export interface Config {
  readonly environment: Environment
  readonly appUrl: string
  readonly database: { readonly url: string; readonly fetchEndpoint: string | null; readonly timeoutMs: number }
  readonly redis: { readonly url: string; readonly token: string }
  readonly qstash: {
    readonly url: string
    readonly token: string
    readonly currentSigningKey: string
    readonly nextSigningKey: string
    readonly retriesMax: number
  }
  readonly providers: {
    readonly stripe: ProviderConfig
    readonly whop: ProviderConfig & { readonly accounts: WhopAccounts }
  }
  readonly channels: {
    /** `from` is set whenever `apiKey` is. */
    readonly sendgrid: {
      readonly apiKey: string | null
      readonly apiUrl: string
      readonly from: string | null
      readonly replyTo: string | null
    }
    /** All three or none of account, token and number. */
    readonly twilio: {
      readonly accountSid: string | null
      readonly authToken: string | null
      readonly from: string | null
      readonly apiUrl: string
    }
    readonly slack: { readonly webhookUrl: string | null }
    /** Where Whop shows push notifications (an experience) and direct messages (a company). */
    readonly whop: { readonly companyId: string | null; readonly experienceId: string | null }
  }
  /** The text model that drafts words for templates; without a key there are no drafts. */
  readonly openRouter: {
    readonly apiKey: string | null
    readonly apiUrl: string
    readonly model: string
    readonly timeoutMs: number
  }
  readonly access: {
    readonly adminApiKey: string
    readonly defaultCompanyId: string | null
    /** Cloudflare Access in front of the dashboard; null: it is not used. */
    readonly cloudflareAccess: { readonly teamUrl: string; readonly audience: string } | null
  }
  readonly keys: { readonly encryption: KeyRing; readonly tokenSigning: KeyRing }
  /** Rate limits; beyond them the answer is 429. */
  readonly limits: {
    /**
     * Verified deliveries of one company. Whop gives up 70 seconds after its first attempt, so a refused delivery must
     * succeed within that time: the default is a thousand times the rate of a busy company (300 an hour).
     */
    readonly webhooksPerMinute: number
    /** Calls of the API for one company. */
    readonly apiPerMinute: number
    /** Requests of one client to signed endpoints that are unsigned, malformed or for an unknown address. */
    readonly badPerMinute: number
    /** Unknown keys of one client. */
    readonly failedAuthPer5Minutes: number
    /** Visits to links in messages; mail programs and link checkers visit for many people from one address. */
    readonly linksPerMinute: number
    /** Events of one customer that are processed in an hour. */
    readonly customerEventsPerHour: number
  }
  /** The value of a switch that is not set; undefined: the environment's default. */
  readonly switchDefaults: Readonly<Record<SwitchName, boolean | undefined>>
  /** The hold-out share of new cases, 0 to 50 percent, of companies that set none. */
  readonly holdoutPercentage: number
  readonly scoring: {
    /** The model that scores every company, by version or sha-256; null: each company's champion. */
    readonly modelPin: string | null
    /** Scores below it, from 0 to 1, are shown as not confident. */
    readonly confidenceThreshold: number
    /** Customers or vectors of one request, and customers of one step of the nightly scoring. */
    readonly batchMax: number
  }
  /** Subrequests of one invocation. */
  readonly subrequestsMax: number
  /** The clock of the local world; null everywhere else. */
  readonly clock: { readonly url: string | null }
}

/** Shorter webhook secrets, signing keys and API keys can be guessed, or are a mistake. */
const SECRET_CHARS_MIN = 16
/** A local secret protects nothing; it only has to be set. */
const LOCAL_SECRET_CHARS_MIN = 4
/** Upstash's tokens are longer; this catches blanks and placeholders. */
const TOKEN_CHARS_MIN = 8
/** Part of the public secrets in `.dev.vars.example`. */
const LOCAL_SECRET_MARK = "local_only"
/** The SDK's development signing keys are public (`@upstash/qstash`, dev server); anybody could sign with them. */
const PUBLIC_SIGNING_KEYS = ["sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r", "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs"]

/** The configuration. Throws one Error that names every missing or wrong variable. */
export function parseConfig(env: Record<string, unknown>): Config {
  const parsed = schemaFor(env.ENVIRONMENT).safeParse(env)
  const faults = [...faultsOf(parsed.error, env), ...halfConfigured(env)]
  if (!parsed.success || faults.length > 0) {
    throw new Error(`The environment is not complete:\n${faults.map((fault) => `  ${fault}`).join("\n")}`)
  }
  return grouped(parsed.data)
}

function faultsOf(error: z.ZodError | undefined, env: Record<string, unknown>): string[] {
  return (error?.issues ?? []).map((issue) => {
    const name = String(issue.path[0])
    const state = env[name] === undefined ? "is missing" : env[name] === "" ? "is blank" : "is wrong"
    return `${name} ${state}: ${issue.message}`
  })
}

/** A channel with incomplete credentials would count as configured and fail at every send. */
function halfConfigured(env: Record<string, unknown>): string[] {
  const channels = [
    { names: ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_FROM"], isChecked: true },
    { names: ["SENDGRID_API_KEY", "EMAIL_FROM"], isChecked: env.SENDGRID_API_KEY !== undefined },
    { names: ["ACCESS_TEAM_URL", "ACCESS_AUDIENCE"], isChecked: true },
  ]
  return channels.flatMap(({ names, isChecked }) => {
    const missing = names.filter((name) => env[name] === undefined)
    const given = names.filter((name) => env[name] !== undefined)
    if (!isChecked || given.length === 0) return []
    return missing.map((name) => `${name} is missing: expected together with ${given.join(", ")}`)
  })
}

/** The default mode: live events in production only, and all events locally. */
const MODE_BY_ENVIRONMENT = { local: "any", staging: "test", production: "live" } as const satisfies Record<
  Environment,
  ProviderMode
>

function schemaFor(environment: unknown) {
  const isLocal = environment === "local"
  const secretCharsMin = isLocal ? LOCAL_SECRET_CHARS_MIN : SECRET_CHARS_MIN
  const text = (expected: string, isRight: (value: string) => boolean) =>
    z.string({ error: `expected ${expected}` }).refine(isRight, { error: `expected ${expected}` })
  const baseUrl = text(
    `${isLocal ? "an http(s)" : "an https"} URL without trailing slash, credentials or query`,
    (value) => isBaseUrl(value, isLocal),
  )
  const secret = (charsMin: number) =>
    text(
      `at least ${charsMin} characters without spaces${isLocal ? "" : ", and not the value that is documented for local use"}`,
      (value) => isSecret(value, charsMin) && (isLocal || !isDocumented(value)),
    )
  const secrets = text(
    `secrets of at least ${secretCharsMin} characters, separated by commas, none blank${isLocal ? "" : ", none documented for local use"}`,
    (value) => splitList(value).every((part) => isSecret(part, secretCharsMin) && (isLocal || !isDocumented(part))),
  ).transform(splitList)
  const localOnly = <T extends z.ZodType>(schema: T) =>
    isLocal ? schema.optional() : z.undefined({ error: "expected to be absent outside ENVIRONMENT=local" }).optional()
  const onOff = z
    .enum(["true", "false"], { error: 'expected "true" or "false"' })
    .transform((value) => value === "true")
    .optional()
  const wholeNumber = (min: number, max: number, byDefault: number) =>
    text(`a whole number from ${min} to ${max}`, (value) => {
      return /^\d{1,9}$/.test(value) && Number(value) >= min && Number(value) <= max
    })
      .default(String(byDefault))
      .transform(Number)
  const mode = z
    .enum(["live", "test", "any"], { error: "expected live, test or any" })
    .default(MODE_BY_ENVIRONMENT[environment as Environment] ?? "live")
  const share = (byDefault: string) =>
    text("a number from 0 to 1", (value) => /^(?:0(?:\.\d{1,6})?|1(?:\.0{1,6})?)$/.test(value))
      .default(byDefault)
      .transform(Number)

  return z.object({
    ENVIRONMENT: z.enum(["local", "staging", "production"], { error: "expected local, staging or production" }),
    APP_URL: baseUrl,
    DATABASE_URL: text("postgres://user:password@host/database", (value) => isDatabaseUrl(value, isLocal)),
    DATABASE_FETCH_ENDPOINT: localOnly(baseUrl),
    DATABASE_TIMEOUT_MS: wholeNumber(100, 30_000, 2_000),
    UPSTASH_REDIS_REST_URL: baseUrl,
    UPSTASH_REDIS_REST_TOKEN: secret(TOKEN_CHARS_MIN),
    QSTASH_URL: baseUrl.default("https://qstash.upstash.io"),
    QSTASH_TOKEN: secret(TOKEN_CHARS_MIN),
    QSTASH_CURRENT_SIGNING_KEY: secret(secretCharsMin),
    QSTASH_NEXT_SIGNING_KEY: secret(secretCharsMin),
    QSTASH_RETRIES_MAX: wholeNumber(0, 5, 3),
    // With this variable set the SDK replaces the configured keys with public ones.
    QSTASH_DEV: z.undefined({ error: "expected to be absent everywhere" }).optional(),
    STRIPE_WEBHOOK_SECRET: secrets.optional(),
    STRIPE_API_KEY: secret(secretCharsMin).optional(),
    STRIPE_API_URL: baseUrl.default("https://api.stripe.com"),
    STRIPE_MODE: mode,
    WHOP_WEBHOOK_SECRET: secrets.optional(),
    WHOP_API_KEY: secret(secretCharsMin).optional(),
    WHOP_API_URL: baseUrl.default("https://api.whop.com/api/v1"), // as in @whop/sdk
    WHOP_MODE: mode,
    WHOP_ACCOUNTS: z
      .enum(["registered", "any"], { error: "expected registered or any" })
      .default(isLocal ? "any" : "registered"),
    SENDGRID_API_KEY: secret(secretCharsMin).optional(),
    SENDGRID_API_URL: baseUrl.default("https://api.sendgrid.com"),
    EMAIL_FROM: text("an e-mail address, or Name <address>", isMailbox).optional(),
    EMAIL_REPLY_TO: text("an e-mail address, or Name <address>", isMailbox).optional(),
    TWILIO_ACCOUNT_SID: text("AC and 32 hexadecimal digits", (value) => /^AC[0-9a-f]{32}$/i.test(value)).optional(),
    TWILIO_AUTH_TOKEN: secret(secretCharsMin).optional(),
    TWILIO_FROM: text("an E.164 number or a messaging service (MG…)", isTwilioSender).optional(),
    TWILIO_API_URL: baseUrl.default("https://api.twilio.com"),
    SLACK_WEBHOOK_URL: baseUrl.optional(),
    WHOP_COMPANY_ID: text("biz_ and an id", (id) => /^biz_[A-Za-z0-9]{1,64}$/.test(id)).optional(),
    WHOP_EXPERIENCE_ID: text("exp_ and an id", (id) => /^exp_[A-Za-z0-9]{1,64}$/.test(id)).optional(),
    OPENROUTER_API_KEY: secret(secretCharsMin).optional(),
    OPENROUTER_API_URL: baseUrl.default("https://openrouter.ai/api/v1"),
    OPENROUTER_MODEL: text("a model's name, as vendor/model", (name) =>
      /^[\w.-]{1,64}\/[\w.:-]{1,100}$/.test(name),
    ).default("openai/gpt-4.1-mini"),
    OPENROUTER_TIMEOUT_MS: wholeNumber(1_000, 60_000, 20_000),
    ADMIN_API_KEY: secret(secretCharsMin),
    DEFAULT_COMPANY_ID: text("1 to 64 letters, digits, _ or -", (id) => /^[A-Za-z0-9_-]{1,64}$/.test(id)).optional(),
    ACCESS_TEAM_URL: baseUrl.optional(),
    ACCESS_AUDIENCE: text("64 hexadecimal digits", (value) => /^[0-9a-f]{64}$/.test(value)).optional(),
    ENCRYPTION_KEYS: keyRing(),
    TOKEN_SIGNING_KEYS: keyRing(),
    RATE_LIMIT_WEBHOOKS_PER_MINUTE: wholeNumber(1, 1_000_000, 6_000),
    RATE_LIMIT_API_PER_MINUTE: wholeNumber(1, 1_000_000, 1_000),
    RATE_LIMIT_BAD_PER_MINUTE: wholeNumber(1, 1_000_000, 60),
    RATE_LIMIT_FAILED_AUTH_PER_5_MINUTES: wholeNumber(1, 1_000_000, 10),
    RATE_LIMIT_LINKS_PER_MINUTE: wholeNumber(1, 1_000_000, 600),
    CUSTOMER_EVENTS_PER_HOUR: wholeNumber(10, 100_000, 1_000),
    WEBHOOK_PROCESSING_ENABLED: onOff,
    SCHEDULER_ENABLED: onOff,
    NOTIFICATIONS_ENABLED: onOff,
    ROLLBACK_MODE: onOff,
    HOLDOUT_PERCENTAGE: wholeNumber(0, 50, 10),
    CHURN_MODEL_VERSION: text("a model's version (letters, digits, . _ -) or its sha-256", (name) =>
      /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name),
    ).optional(),
    ML_CONFIDENCE_THRESHOLD: share("0.7"),
    ML_BATCH_SIZE: wholeNumber(1, 100, 100),
    // Every Cloudflare plan allows 50; below 40 there is no room for one nudge with its receipt.
    SUBREQUESTS_MAX: wholeNumber(40, 1_000_000, 50),
    CLOCK_URL: localOnly(baseUrl),
  })
}

const KEY_RING_EXPECTED = "expected v<version>:<base64 of 32 bytes>, separated by commas, each version once"

const keyRing = () =>
  z.string({ error: KEY_RING_EXPECTED }).transform((value, context) => {
    const ring = parseKeyRing(value)
    if (ring.ok) return ring.value
    const where = ring.error.entry > 0 ? ` (entry ${ring.error.entry}: ${ring.error.reason})` : ""
    context.addIssue({ code: "custom", message: `${KEY_RING_EXPECTED}${where}` })
    return z.NEVER
  })

function grouped(vars: z.output<ReturnType<typeof schemaFor>>): Config {
  return {
    environment: vars.ENVIRONMENT,
    appUrl: vars.APP_URL,
    database: {
      url: vars.DATABASE_URL,
      fetchEndpoint: vars.DATABASE_FETCH_ENDPOINT ?? null,
      timeoutMs: vars.DATABASE_TIMEOUT_MS,
    },
    redis: { url: vars.UPSTASH_REDIS_REST_URL, token: vars.UPSTASH_REDIS_REST_TOKEN },
    qstash: {
      url: vars.QSTASH_URL,
      token: vars.QSTASH_TOKEN,
      currentSigningKey: vars.QSTASH_CURRENT_SIGNING_KEY,
      nextSigningKey: vars.QSTASH_NEXT_SIGNING_KEY,
      retriesMax: vars.QSTASH_RETRIES_MAX,
    },
    providers: {
      stripe: {
        webhookSecrets: vars.STRIPE_WEBHOOK_SECRET ?? [],
        apiKey: vars.STRIPE_API_KEY ?? null,
        apiUrl: vars.STRIPE_API_URL,
        mode: vars.STRIPE_MODE,
      },
      whop: {
        webhookSecrets: vars.WHOP_WEBHOOK_SECRET ?? [],
        apiKey: vars.WHOP_API_KEY ?? null,
        apiUrl: vars.WHOP_API_URL,
        mode: vars.WHOP_MODE,
        accounts: vars.WHOP_ACCOUNTS,
      },
    },
    channels: {
      sendgrid: {
        apiKey: vars.SENDGRID_API_KEY ?? null,
        apiUrl: vars.SENDGRID_API_URL,
        from: vars.EMAIL_FROM ?? null,
        replyTo: vars.EMAIL_REPLY_TO ?? null,
      },
      twilio: {
        accountSid: vars.TWILIO_ACCOUNT_SID ?? null,
        authToken: vars.TWILIO_AUTH_TOKEN ?? null,
        from: vars.TWILIO_FROM ?? null,
        apiUrl: vars.TWILIO_API_URL,
      },
      slack: { webhookUrl: vars.SLACK_WEBHOOK_URL ?? null },
      whop: { companyId: vars.WHOP_COMPANY_ID ?? null, experienceId: vars.WHOP_EXPERIENCE_ID ?? null },
    },
    openRouter: {
      apiKey: vars.OPENROUTER_API_KEY ?? null,
      apiUrl: vars.OPENROUTER_API_URL,
      model: vars.OPENROUTER_MODEL,
      timeoutMs: vars.OPENROUTER_TIMEOUT_MS,
    },
    access: {
      adminApiKey: vars.ADMIN_API_KEY,
      defaultCompanyId: vars.DEFAULT_COMPANY_ID ?? null,
      cloudflareAccess:
        vars.ACCESS_TEAM_URL === undefined || vars.ACCESS_AUDIENCE === undefined
          ? null
          : { teamUrl: vars.ACCESS_TEAM_URL, audience: vars.ACCESS_AUDIENCE },
    },
    keys: { encryption: vars.ENCRYPTION_KEYS, tokenSigning: vars.TOKEN_SIGNING_KEYS },
    limits: {
      webhooksPerMinute: vars.RATE_LIMIT_WEBHOOKS_PER_MINUTE,
      apiPerMinute: vars.RATE_LIMIT_API_PER_MINUTE,
      badPerMinute: vars.RATE_LIMIT_BAD_PER_MINUTE,
      failedAuthPer5Minutes: vars.RATE_LIMIT_FAILED_AUTH_PER_5_MINUTES,
      linksPerMinute: vars.RATE_LIMIT_LINKS_PER_MINUTE,
      customerEventsPerHour: vars.CUSTOMER_EVENTS_PER_HOUR,
    },
    switchDefaults: {
      WEBHOOK_PROCESSING_ENABLED: vars.WEBHOOK_PROCESSING_ENABLED,
      SCHEDULER_ENABLED: vars.SCHEDULER_ENABLED,
      NOTIFICATIONS_ENABLED: vars.NOTIFICATIONS_ENABLED,
      ROLLBACK_MODE: vars.ROLLBACK_MODE,
    },
    holdoutPercentage: vars.HOLDOUT_PERCENTAGE,
    scoring: {
      modelPin: vars.CHURN_MODEL_VERSION ?? null,
      confidenceThreshold: vars.ML_CONFIDENCE_THRESHOLD,
      batchMax: vars.ML_BATCH_SIZE,
    },
    subrequestsMax: vars.SUBREQUESTS_MAX,
    clock: { url: vars.CLOCK_URL ?? null },
  }
}

const splitList = (value: string): string[] => value.split(",").map((part) => part.trim())

const isSecret = (value: string, charsMin: number): boolean => value.length >= charsMin && !/\s/.test(value)

const isDocumented = (value: string): boolean =>
  value.includes(LOCAL_SECRET_MARK) || PUBLIC_SIGNING_KEYS.includes(value)

function isBaseUrl(value: string, isHttpAllowed: boolean): boolean {
  if (!URL.canParse(value) || value.endsWith("/") || /[\s?#]/.test(value)) return false
  const { protocol, username, password } = new URL(value)
  return (protocol === "https:" || (isHttpAllowed && protocol === "http:")) && username === "" && password === ""
}

/** The driver would write an invalid URL with its password to the error of the first query. */
function isDatabaseUrl(value: string, isLocal: boolean): boolean {
  if (!URL.canParse(value) || /\s/.test(value)) return false
  const { protocol, username, password, hostname, pathname } = new URL(value)
  return (
    (protocol === "postgres:" || protocol === "postgresql:") &&
    username !== "" &&
    (password !== "" || isLocal) &&
    hostname !== "" &&
    pathname.length > 1
  )
}

const isMailbox = (value: string): boolean => parseMailbox(value) !== null

const isTwilioSender = (value: string): boolean => /^(?:\+[1-9]\d{6,14}|MG[0-9a-f]{32})$/i.test(value)
