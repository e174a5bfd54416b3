import { createRequire } from "node:module"

/**
 * Redis runs Lua 5.1, where every number is a double. Fengari runs Lua 5.3, whose integers it keeps in 32 bits, so that
 * `1700000000 * 1000` in a script would wrap around in silence. Here the two conversions between text and number are
 * replaced inside fengari: what a script or an argument spells becomes a double, and a double is spelt as 5.1 does.
 */
type LuaValue = {
  ttisinteger(): boolean
  setfltvalue(value: number): void
  setsvalue(value: unknown): void
  value: number
}

type FengariObjects = {
  luaO_str2num(text: Uint8Array, target: LuaValue): number
  luaO_tostring(state: unknown, target: LuaValue): void
}
type FengariStrings = { luaS_bless(state: unknown, bytes: Uint8Array): unknown }

let done = false

/** Makes fengari's numbers those of Lua 5.1, for the whole process. May be called again. */
export function useDoubles(): void {
  if (done) return
  done = true
  const require = createRequire(import.meta.url)
  const objects: FengariObjects = require("fengari/src/lobject.js")
  const strings: FengariStrings = require("fengari/src/lstring.js")

  const parse = objects.luaO_str2num
  objects.luaO_str2num = (text, target) => {
    const size = parse(text, target)
    if (size !== 0 && target.ttisinteger()) target.setfltvalue(target.value)
    return size
  }
  objects.luaO_tostring = (state, target) => {
    target.setsvalue(strings.luaS_bless(state, Buffer.from(luaNumberText(target.value))))
  }
}

const DIGITS = 14

/** A number as Lua 5.1 and cjson write it, which is C's `%.14g`. */
export function luaNumberText(value: number): string {
  if (Number.isNaN(value)) return "nan"
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf"
  if (value === 0) return Object.is(value, -0) ? "-0" : "0"
  const [mantissa = "", exponentText] = value.toExponential(DIGITS - 1).split("e")
  const exponent = Number(exponentText)
  if (exponent >= -4 && exponent < DIGITS) return trimZeros(value.toFixed(DIGITS - 1 - exponent))
  return `${trimZeros(mantissa)}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`
}

const trimZeros = (text: string): string => (text.includes(".") ? text.replace(/\.?0+$/, "") : text)
