/**
 * The syntax of a company's own texts: ICU MessageFormat, of which only fields and plurals are allowed.
 *
 *   {brand} · {invoiceCount, plural, one {one open invoice} other {# open invoices}} · '{' for a brace
 *
 * Own code instead of a library: `shared/domain` imports no package, and the whole of ICU (numbers, dates, choices) would
 * have to be refused again.
 */

/** A parsed text. */
export type Text = readonly Part[]

type Part =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "field"; readonly name: string }
  | { readonly kind: "plural"; readonly name: string; readonly forms: ReadonlyMap<string, Text> }
  /** The number of the plural around it. */
  | { readonly kind: "number" }

/** Why a text cannot be read, with the place of the fault counted in characters from 0. */
export interface SyntaxFault {
  readonly at: number
  readonly reason: string
}

export type Parsed = { readonly ok: true; readonly text: Text } | { readonly ok: false; readonly fault: SyntaxFault }

/** Categories of plurals (Unicode CLDR). */
const CATEGORIES: ReadonlySet<string> = new Set(["zero", "one", "two", "few", "many", "other"])

const NAME = /[A-Za-z][A-Za-z0-9]*/y
const SPACE = /\s*/y

class Fault extends Error {
  readonly at: number
  constructor(at: number, reason: string) {
    super(reason)
    this.at = at
  }
}

/** Parses a text. Never throws. */
export function parseText(source: string): Parsed {
  const reader = new Reader(source)
  try {
    return { ok: true, text: reader.text({ isInPlural: false }) }
  } catch (error) {
    if (error instanceof Fault) return { ok: false, fault: { at: error.at, reason: error.message } }
    throw error
  }
}

class Reader {
  readonly #source: string
  #at = 0

  constructor(source: string) {
    this.#source = source
  }

  /** Parts up to the end of the text, or within a plural up to its closing brace. */
  text({ isInPlural }: { readonly isInPlural: boolean }): Text {
    const parts: Part[] = []
    let plain = ""
    const flush = (): void => {
      if (plain !== "") parts.push({ kind: "text", text: plain })
      plain = ""
    }
    while (this.#at < this.#source.length) {
      const character = this.#source[this.#at] ?? ""
      if (character === "}") {
        if (isInPlural) break
        throw new Fault(this.#at, "a closing brace without an opening one")
      }
      if (character === "{") {
        flush()
        parts.push(this.#argument({ isInPlural }))
      } else if (character === "#" && isInPlural) {
        flush()
        parts.push({ kind: "number" })
        this.#at += 1
      } else plain += this.#character()
    }
    flush()
    return parts
  }

  /** One character, or what an apostrophe quotes: '' is an apostrophe, '{ … ' is text with braces. */
  #character(): string {
    const [character = "", next] = this.#source.slice(this.#at, this.#at + 2)
    if (character !== "'") {
      this.#at += 1
      return character
    }
    if (next === "'") {
      this.#at += 2
      return "'"
    }
    // Elsewhere an apostrophe is one: "don't".
    if (next !== "{" && next !== "}" && next !== "#") {
      this.#at += 1
      return "'"
    }
    const end = this.#source.indexOf("'", this.#at + 1)
    if (end === -1) throw new Fault(this.#at, "a quote that does not end")
    const quoted = this.#source.slice(this.#at + 1, end)
    this.#at = end + 1
    return quoted
  }

  #argument({ isInPlural }: { readonly isInPlural: boolean }): Part {
    const start = this.#at
    this.#expect("{")
    const name = this.#name()
    if (this.#peek() === "}") {
      this.#at += 1
      return { kind: "field", name }
    }
    this.#expect(",")
    const type = this.#name()
    if (type !== "plural") throw new Fault(start, `“${type}” is not supported: only fields and plurals are`)
    if (isInPlural) throw new Fault(start, "a plural within a plural")
    this.#expect(",")
    const forms = new Map<string, Text>()
    while (this.#peek() !== "}") {
      const at = this.#at
      const category = this.#name()
      if (!CATEGORIES.has(category)) throw new Fault(at, `“${category}” is no category of plurals`)
      if (forms.has(category)) throw new Fault(at, `“${category}” is given twice`)
      this.#expect("{")
      forms.set(category, this.text({ isInPlural: true }))
      this.#expect("}")
    }
    this.#at += 1
    if (!forms.has("other")) throw new Fault(start, "a plural needs the form “other”")
    return { kind: "plural", name, forms }
  }

  #skipSpace(): void {
    SPACE.lastIndex = this.#at
    this.#at += SPACE.exec(this.#source)?.[0].length ?? 0
  }

  #peek(): string {
    this.#skipSpace()
    return this.#source[this.#at] ?? ""
  }

  #expect(character: string): void {
    if (this.#peek() !== character) throw new Fault(this.#at, `expected “${character}”`)
    this.#at += 1
  }

  #name(): string {
    this.#skipSpace()
    NAME.lastIndex = this.#at
    const name = NAME.exec(this.#source)?.[0]
    if (name === undefined) throw new Fault(this.#at, "expected a name")
    this.#at += name.length
    return name
  }
}

/** The fields of a text: those written out, and those that a plural counts. */
export function fieldsOf(text: Text): { readonly named: ReadonlySet<string>; readonly counted: ReadonlySet<string> } {
  const named = new Set<string>()
  const counted = new Set<string>()
  for (const part of text) {
    if (part.kind === "field") named.add(part.name)
    if (part.kind !== "plural") continue
    counted.add(part.name)
    for (const form of part.forms.values()) for (const name of fieldsOf(form).named) named.add(name)
  }
  return { named, counted }
}

/** Every way in which a text can be written, by the categories of plurals; `value` stands for fields and numbers. */
export const readingsOf = (text: Text, value: string): readonly string[] =>
  [...CATEGORIES].map((category) => text.map((part) => readingOf(part, category, value)).join(""))

function readingOf(part: Part, category: string, value: string): string {
  if (part.kind === "text") return part.text
  if (part.kind !== "plural") return value
  const form = part.forms.get(category) ?? part.forms.get("other") ?? []
  return form.map((inner) => readingOf(inner, category, value)).join("")
}

/** A value of a field; null where it is not known. */
export type FieldValue = string | number | null

/**
 * Writes a text with its values, plurals in the language of `locale`. Null when a field has no value: then the caller uses
 * another text.
 */
export function writeText(
  text: Text,
  values: Readonly<Record<string, FieldValue>>,
  locale: string,
  counted: number | null = null,
): string | null {
  let written = ""
  for (const part of text) {
    const piece = writePart(part, values, locale, counted)
    if (piece === null) return null
    written += piece
  }
  return written
}

function writePart(
  part: Part,
  values: Readonly<Record<string, FieldValue>>,
  locale: string,
  counted: number | null,
): string | null {
  switch (part.kind) {
    case "text":
      return part.text
    case "number":
      return counted === null ? null : new Intl.NumberFormat(locale).format(counted)
    case "field": {
      const value = values[part.name] ?? null
      return typeof value === "number" ? new Intl.NumberFormat(locale).format(value) : value
    }
    case "plural": {
      const value = values[part.name] ?? null
      if (typeof value !== "number") return null
      const form = part.forms.get(new Intl.PluralRules(locale).select(value)) ?? part.forms.get("other")
      return form === undefined ? null : writeText(form, values, locale, value)
    }
  }
}
