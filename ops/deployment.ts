/** Calls a deployment's API from the command line, by URL and key, with time-outs and parsed answers. */
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { z } from "zod"
import { readDevVars } from "../local/variables/dev-vars.ts"

export const ROOT = fileURLToPath(new URL("..", import.meta.url))

/** The options of every command, for `parseArgs`. */
export const DEPLOYMENT_OPTIONS = {
  url: { type: "string" },
  key: { type: "string" },
  company: { type: "string" },
  json: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const

export const DEPLOYMENT_HELP = `  --url URL      the deployment (CHURN_SAVER_URL; else the one that npm start runs, http://127.0.0.1:8787)
  --key KEY      its ADMIN_API_KEY (CHURN_SAVER_KEY; else the one of npm start)
  --company ID   another company than the deployment's default
  --json         output for machines
`

const LOCAL_URL = "http://127.0.0.1:8787"
/** Longer than replaying, reconciling and importing take, which have their own limits. */
const ANSWER_MS_MAX = 60_000

/** A running deployment, with the caller's key and company. */
export interface Deployment {
  readonly url: string
  readonly key: string
  readonly companyId: string | null
}

/** An error for the user, in one sentence; the command ends with the exit code. */
export class CommandError extends Error {
  readonly exitCode: number = 1
}

/** The deployment in the options, or the local one. Throws `CommandError` when its key is missing. */
export function deploymentOf(options: {
  readonly url?: string
  readonly key?: string
  readonly company?: string
}): Deployment {
  const url = (options.url ?? process.env.CHURN_SAVER_URL ?? LOCAL_URL).replace(/\/+$/, "")
  const isLocal = ["127.0.0.1", "localhost", "[::1]"].includes(new URL(url).hostname)
  const given = options.key ?? process.env.CHURN_SAVER_KEY
  const key = given ?? (isLocal ? readDevVars(ROOT, process.env).ADMIN_API_KEY : undefined)
  if (!key) throw new CommandError("Name the deployment's ADMIN_API_KEY with --key or CHURN_SAVER_KEY.")
  return { url, key, companyId: options.company ?? null }
}

const problem = z.object({ code: z.string(), detail: z.string() })

/** An answer that is not 2xx, with its problem document's code where it has one. */
export class ApiError extends CommandError {
  readonly status: number
  readonly code: string | null
  readonly retryAfterSeconds: number | null
  /** The whole answer, for callers that use more than its detail. */
  readonly answer: unknown
  constructor(
    message: string,
    options: { status: number; code: string | null; retryAfterSeconds: number | null; answer?: unknown },
  ) {
    super(message)
    this.answer = options.answer
    this.status = options.status
    this.code = options.code
    this.retryAfterSeconds = options.retryAfterSeconds
  }
}

/** JSON that is sent unchanged. */
export class JsonText {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/**
 * One call of the deployment's API. Throws `ApiError` for an answer other than 2xx, `CommandError` when there is none.
 */
export async function callApi<Schema extends z.ZodType>(
  deployment: Deployment,
  method: Method,
  path: string,
  schema: Schema,
  body?: unknown,
): Promise<z.output<Schema>> {
  const parsed = schema.safeParse(parseJson(await call(deployment, method, path, body)))
  if (!parsed.success) throw new CommandError(`${method} ${path} was answered with something else than expected.`)
  return parsed.data
}

/** The text of an answer that is not JSON; throws like `callApi`. */
export const callApiText = (deployment: Deployment, path: string): Promise<string> => call(deployment, "GET", path)

type Method = "GET" | "POST" | "PUT" | "DELETE"

async function call(
  { url, key, companyId }: Deployment,
  method: Method,
  path: string,
  body?: unknown,
): Promise<string> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      ...(companyId !== null && { "x-company-id": companyId }),
      ...(body !== undefined && { "content-type": "application/json" }),
    },
    ...(body !== undefined && { body: body instanceof JsonText ? body.text : JSON.stringify(body) }),
    redirect: "manual",
    signal: AbortSignal.timeout(ANSWER_MS_MAX),
  }).catch(() => {
    throw new CommandError(`Nothing answers at ${url}.`)
  })
  const text = await response.text()
  if (response.ok) return text
  const answer = parseJson(text)
  const parsed = problem.safeParse(answer).data
  throw new ApiError(`${method} ${path} was answered ${response.status}${parsed ? `: ${parsed.detail}` : "."}`, {
    status: response.status,
    code: parsed?.code ?? null,
    retryAfterSeconds: Number(response.headers.get("retry-after")) || null,
    answer,
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Runs a command; an error is one line on stderr, and the exit code is not 0. */
export async function runCommand(command: () => Promise<void>): Promise<void> {
  try {
    await command()
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = error.exitCode
  }
}

/** Attempts per call; with the waits below they cover an outage of about two minutes. */
const TRIES_MAX = 8
const FIRST_WAIT_MS = 1_000
const WAIT_MS_MAX = 60_000

/** Retries temporary failures: no answer, too many requests, or a server error. */
export async function withApiRetries<T>(call: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await call()
    } catch (error) {
      const isFinal = error instanceof ApiError && error.status !== 429 && error.status < 500
      if (!(error instanceof CommandError) || isFinal || tries === TRIES_MAX) throw error
      const askedMs = error instanceof ApiError ? (error.retryAfterSeconds ?? 0) * 1_000 : 0
      const waitMs = Math.min(WAIT_MS_MAX, Math.max(askedMs, FIRST_WAIT_MS * 2 ** (tries - 1)))
      showProgressLine(`${error.message} Trying again in ${Math.ceil(waitMs / 1_000)} s.`)
      await new Promise((resolve) => setTimeout(resolve, waitMs))
    }
  }
}

/** A progress line, overwritten on a terminal; on stderr, since stdout is for the result. */
export function showProgressLine(text: string): void {
  process.stderr.write(process.stderr.isTTY ? `\r\u001b[2K${text}` : `${text}\n`)
}

/** A file in which a command stores state between runs. */
export const localFile = (name: string): string => join(ROOT, ".local", name)
