/** The delay before a retry: the default curve, the sender's expression, or the receiver's request. */

const DAY_MS = 24 * 60 * 60 * 1_000

/** The documented curve: `min(86400, e^(2.5 n))` seconds before retry number `n` (12 s, 2 m 28 s, 30 m 8 s, …). */
export function defaultRetryDelayMs(retryNumber: number): number {
  return Math.min(DAY_MS, Math.floor(Math.exp(2.5 * retryNumber)) * 1_000)
}

/** The expression of an `Upstash-Retry-Delay` header is invalid. */
export class ExpressionError extends Error {}

const FUNCTIONS: Readonly<Record<string, { readonly arity: number | "any"; of(...values: number[]): number }>> = {
  pow: { arity: 2, of: Math.pow },
  sqrt: { arity: 1, of: Math.sqrt },
  abs: { arity: 1, of: Math.abs },
  exp: { arity: 1, of: Math.exp },
  floor: { arity: 1, of: Math.floor },
  ceil: { arity: 1, of: Math.ceil },
  round: { arity: 1, of: Math.round },
  min: { arity: "any", of: Math.min },
  max: { arity: "any", of: Math.max },
}

const TOKEN = /\s*(\d+(?:\.\d+)?|[a-z]+|[-+*/(),])/giy

/** Long enough for any useful curve, short enough for the recursion below. */
const EXPRESSION_CHARS_MAX = 500

/**
 * The value of a retry delay expression in milliseconds, between zero and one day. `retried` counts the retries made so
 * far and is 0 before the first. Throws `ExpressionError` for anything that is not arithmetic.
 */
export function evaluateRetryDelayMs(expression: string, retried: number): number {
  const value = evaluate(tokensOf(expression), retried)
  if (Number.isNaN(value)) throw new ExpressionError(`retry delay "${expression}" is not a number`)
  return Math.min(DAY_MS, Math.max(0, Math.round(value)))
}

function tokensOf(expression: string): string[] {
  if (expression.length > EXPRESSION_CHARS_MAX) throw new ExpressionError("retry delay is too long")
  const tokens = [...expression.trim().matchAll(TOKEN)].map((match) => match[1] ?? "")
  const read = tokens.join("")
  if (read.length === 0 || read !== expression.replace(/\s/g, "")) {
    throw new ExpressionError(`retry delay "${expression}" cannot be read`)
  }
  return tokens
}

/** Recursive descent: sum → product → unary → number, name, call or parentheses. */
function evaluate(tokens: readonly string[], retried: number): number {
  let position = 0
  const peek = (): string | undefined => tokens[position]
  const take = (expected?: string): string => {
    const token = tokens[position++]
    if (token === undefined) throw new ExpressionError("retry delay ends too early")
    if (expected !== undefined && token !== expected) {
      throw new ExpressionError(`retry delay has "${token}" where "${expected}" belongs`)
    }
    return token
  }

  function sum(): number {
    let value = product()
    while (peek() === "+" || peek() === "-") value = take() === "+" ? value + product() : value - product()
    return value
  }

  function product(): number {
    let value = unary()
    while (peek() === "*" || peek() === "/") value = take() === "*" ? value * unary() : value / unary()
    return value
  }

  function unary(): number {
    if (peek() !== "-") return primary()
    take("-")
    return -unary()
  }

  function primary(): number {
    const token = take()
    if (/^\d/.test(token)) return Number(token)
    if (token === "retried") return retried
    if (token === "(") {
      const value = sum()
      take(")")
      return value
    }
    return call(token)
  }

  function call(name: string): number {
    const known = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined
    if (!known) throw new ExpressionError(`retry delay does not know "${name}"`)
    take("(")
    const values = [sum()]
    while (peek() === ",") {
      take(",")
      values.push(sum())
    }
    take(")")
    if (known.arity !== "any" && known.arity !== values.length) {
      throw new ExpressionError(`${name} takes ${known.arity} value(s), not ${values.length}`)
    }
    return known.of(...values)
  }

  const value = sum()
  const rest = peek()
  if (rest !== undefined) throw new ExpressionError(`retry delay has "${rest}" too much`)
  return value
}

/** Headers with which a receiver requests a delay; the first one present is used. */
const RETRY_HEADERS = ["retry-after", "x-ratelimit-reset", "x-ratelimit-reset-requests", "x-ratelimit-reset-tokens"]

/** The delay that the receiver requested, at most a day; null without a valid header. */
export function requestedRetryDelayMs(headers: Headers, now: Date): number | null {
  for (const name of RETRY_HEADERS) {
    const value = headers.get(name)
    const delayMs = value === null ? null : readRequestedDelayMs(value.trim(), now)
    if (delayMs !== null) return Math.min(DAY_MS, Math.max(0, delayMs))
  }
  return null
}

function readRequestedDelayMs(value: string, now: Date): number | null {
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value) * 1_000
  const parts = parseGoDurationMs(value)
  if (parts !== null) return parts
  const date = Date.parse(value)
  return Number.isNaN(date) ? null : date - now.getTime()
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: DAY_MS }

/** Milliseconds of `10s`, `6m5s`, `1h30m` or `2d`; null for other text. */
export function parseGoDurationMs(text: string): number | null {
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return null
  let ms = 0
  for (const [, count, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g))
    ms += Number(count) * (UNIT_MS[unit ?? ""] ?? 0)
  return ms
}
