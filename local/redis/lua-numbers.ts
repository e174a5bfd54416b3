import { createRequire } from "node:module"

/**
 * Redis runs Lua 5.1, where every number is a double. Fengari runs Lua 5.3 with 32-bit integers, so that `1700000000 *
 * 1000` in a script would overflow silently. This file replaces fengari's two conversions between text and number: text
 * is parsed to a double, and a double is written like Lua 5.1 does.
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

/** Gives fengari the numbers of Lua 5.1, for the whole process. Idempotent. */
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

/** A number in the form of Lua 5.1 and cjson, C's `%.14g`. */
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
