import { RedisError, syntaxError } from "./reply.ts"

/** Parses an integer. Refuses numbers beyond 2^53, which Redis would accept; ours are smaller. */
export function integer(text: string | undefined): number {
  const value = Number(text)
  if (text === undefined || !/^[-+]?\d+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new RedisError("ERR value is not an integer or out of range")
  }
  return value
}

/** Parses a floating-point number, including `inf` and `-inf`. */
export function float(text: string | undefined): number {
  const infinite = /^([-+]?)inf(inity)?$/i.exec(text ?? "")
  if (infinite) return infinite[1] === "-" ? -Infinity : Infinity
  const value = Number(text)
  if (text === undefined || text.trim() === "" || Number.isNaN(value)) {
    throw new RedisError("ERR value is not a valid float")
  }
  return value
}

/** Writes a floating-point number as Redis does. */
export function floatText(value: number): string {
  if (value === Infinity) return "inf"
  return value === -Infinity ? "-inf" : String(value)
}

/** A bound of a score range: `(` in front excludes the value itself. */
export function scoreBound(text: string | undefined): { readonly value: number; readonly excluded: boolean } {
  const excluded = text?.startsWith("(") ?? false
  try {
    return { value: float(excluded ? text?.slice(1) : text), excluded }
  } catch {
    throw new RedisError("ERR min or max is not a float")
  }
}

/** The pairs of `a 1 b 2`; throws a syntax error for an odd number. */
export function pairs(args: readonly string[]): [string, string][] {
  if (args.length % 2 !== 0) throw syntaxError()
  return Array.from({ length: args.length / 2 }, (_, i) => [args[2 * i] ?? "", args[2 * i + 1] ?? ""])
}

/**
 * Parses the options at the end of a command: `{ NX: 0, EX: 1 }` accepts `NX` alone and `EX` with one value. Throws a
 * syntax error for an unknown word. Names are case-insensitive.
 */
export function options<Name extends string>(
  args: readonly string[],
  known: Readonly<Record<Name, number>>,
): Partial<Record<Name, readonly string[]>> {
  const found: Partial<Record<Name, readonly string[]>> = {}
  for (let i = 0; i < args.length; ) {
    const name = (args[i] ?? "").toUpperCase()
    if (!isKnown(name, known)) throw syntaxError()
    const values = args.slice(i + 1, i + 1 + known[name])
    if (values.length < known[name]) throw syntaxError()
    found[name] = values
    i += 1 + known[name]
  }
  return found
}

function isKnown<Name extends string>(name: string, known: Readonly<Record<Name, number>>): name is Name {
  return Object.hasOwn(known, name)
}

/** Converts `start` and `stop` of a range, which may count from the end, to bounds for `slice`. */
export function sliceBounds(start: number, stop: number, length: number): [from: number, to: number] {
  const from = Math.max(0, start < 0 ? length + start : start)
  const to = Math.min(length, (stop < 0 ? length + stop : stop) + 1)
  return [from, Math.max(from, to)]
}

/** A Redis glob (`*`, `?`, `[a-c]`, `\` before a literal character) as a regular expression. */
export function glob(pattern: string): RegExp {
  const source = pattern.replace(
    /\\(.)|\[(\^?)((?:\\.|[^\]])*)\]|[*?]|[\^$+.()|{}[\]\\/]/gsu,
    (token, literal, not, set) => {
      if (literal !== undefined) return quote(literal)
      if (set !== undefined) return `[${not}${set.replaceAll("[", "\\[")}]`
      if (token === "*") return ".*"
      return token === "?" ? "." : quote(token)
    },
  )
  return new RegExp(`^${source}$`, "su")
}

const quote = (text: string): string => text.replace(/[\^$+.()|{}[\]\\/*?]/g, "\\$&")
