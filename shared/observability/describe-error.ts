/**
 * Redacts errors. Messages are never repeated: a query error quotes its parameters, a Redis error its command, a
 * Postgres error its row, a Stripe error its payload, a URL error its password. The description keeps the class, the
 * codes and the stack frames.
 */

/** The parts of an error that may be logged. */
export interface ErrorDescription {
  readonly name: string
  /** A stable code: ours (`NOT_FOUND`), the platform's (`ECONNREFUSED`) or the provider's (`card_declined`). */
  readonly code?: string
  readonly reason?: string
  /** SQLSTATE of Postgres. */
  readonly sqlState?: string
  readonly constraint?: string
  readonly status?: number
  readonly retry?: boolean
  /** `function (file:line:column)`, innermost first. */
  readonly frames?: readonly string[]
  readonly cause?: ErrorDescription
}

const FRAMES_MAX = 8
/** Deeper causes add nothing, and a cause may be its own cause. */
const CAUSES_MAX = 4

/** Describes any thrown value, without text that may contain data. Never throws. */
export const describeError = (error: unknown): ErrorDescription => describe(error, CAUSES_MAX)

function describe(error: unknown, causesLeft: number): ErrorDescription {
  if (typeof error !== "object" || error === null) return { name: `thrown ${error === null ? "null" : typeof error}` }
  const code = word(error, "code")
  const isSqlState = code !== undefined && /^(?=.*\d)[0-9A-Z]{5}$/.test(code)
  const cause = read(error, "cause")
  return defined({
    name: nameOf(error),
    code: isSqlState ? undefined : code,
    reason: word(error, "reason"),
    sqlState: isSqlState ? code : undefined,
    constraint: word(error, "constraint"),
    status: statusOf(error),
    retry: booleanOf(read(error, "retry")),
    frames: framesOf(error),
    cause: cause === undefined || cause === null || causesLeft === 0 ? undefined : describe(cause, causesLeft - 1),
  })
}

/** A getter or a proxy may throw. */
function read(error: object, property: string): unknown {
  try {
    return Reflect.get(error, property)
  } catch {
    return undefined
  }
}

/** An identifier of one word: not an address, a full name, or a sentence. */
function word(error: object, property: string): string | undefined {
  const value = read(error, property)
  return typeof value === "string" && /^[A-Za-z_][A-Za-z0-9_]{0,63}$|^[0-9A-Z]{5}$/.test(value) ? value : undefined
}

function nameOf(error: object): string {
  const name = word(error, "name")
  if (name !== undefined && name !== "Error") return name
  const errorClass = read(error, "constructor") // DrizzleQueryError sets no name
  return (typeof errorClass === "function" ? word(errorClass, "name") : undefined) ?? name ?? "object"
}

function statusOf(error: object): number | undefined {
  const status = read(error, "status") ?? read(error, "statusCode")
  return typeof status === "number" && Number.isInteger(status) && status >= 100 && status <= 599 ? status : undefined
}

const booleanOf = (value: unknown): boolean | undefined => (typeof value === "boolean" ? value : undefined)

/** The message comes before the frames and may have lines that look like frames, so it is removed first. */
function framesOf(error: object): string[] | undefined {
  const stack = read(error, "stack")
  const message = read(error, "message")
  if (typeof stack !== "string") return undefined
  const start = typeof message === "string" && message !== "" ? stack.indexOf(message) : -1
  const lines = (start < 0 || typeof message !== "string" ? stack : stack.slice(start + message.length)).split("\n")
  const frames = lines.flatMap((line) => frameOf(line) ?? []).slice(0, FRAMES_MAX)
  return frames.length > 0 ? frames : undefined
}

/** Function, file and position, without folders, which describe the build machine. */
function frameOf(line: string): string | undefined {
  const [, called = "", file = "", place = ""] =
    /^\s+at (?:async )?(?:new )?(?:([\w$.<>#]{1,80}) (?:\[as [\w$.<>]{1,80}\] )?)?\(?(?:[^\s()]*[/\\:])?([\w$.-]{1,80}):(\d+:\d+)\)?$/.exec(
      line,
    ) ?? []
  if (file === "") return undefined
  return called === "" ? `${file}:${place}` : `${called} (${file}:${place})`
}

/** Without the properties that are undefined. */
function defined(description: { readonly [Key in keyof ErrorDescription]: ErrorDescription[Key] | undefined }) {
  // `name` is never undefined.
  return Object.fromEntries(
    Object.entries(description).filter(([, value]) => value !== undefined),
  ) as unknown as ErrorDescription
}
