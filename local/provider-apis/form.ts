/** Parameters in Stripe's form: `discounts[0][coupon]=x` is a list of objects, `metadata[a]=b` an object. */
export type FormValue = string | FormValue[] | { [name: string]: FormValue }
export type Form = { [name: string]: FormValue }

/** Parses form parameters into nested lists and objects. */
export function parseForm(params: URLSearchParams): Form {
  const form: Form = {}
  for (const [name, value] of params) place(form, partsOf(name), value)
  return Object.fromEntries(Object.entries(form).map(([name, value]) => [name, withLists(value)]))
}

/** `a[b][0]` → `a`, `b`, `0`. */
const partsOf = (name: string): string[] => name.split("[").map((part) => part.replace(/\]$/, ""))

function place(form: Form, [name = "", ...rest]: readonly string[], value: string): void {
  const key = name === "" ? String(Object.keys(form).length) : name // `a[]=1&a[]=2`
  if (rest.length === 0) {
    form[key] = value
    return
  }
  const inner = form[key]
  const target: Form = typeof inner === "object" && !Array.isArray(inner) ? inner : {}
  form[key] = target
  place(target, rest, value)
}

/** Objects whose names are 0, 1, 2 … are lists. */
function withLists(value: FormValue): FormValue {
  if (typeof value === "string" || Array.isArray(value)) return value
  const entries = Object.entries(value).map(([name, inner]) => [name, withLists(inner)] as const)
  const isList = entries.length > 0 && entries.every(([name], index) => name === String(index))
  return isList ? entries.map(([, inner]) => inner) : Object.fromEntries(entries)
}
