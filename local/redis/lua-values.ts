import fengari, { type LuaState } from "fengari"
import { luaNumberText } from "./lua-numbers.ts"
import { RedisError, type RedisReply, Status } from "./reply.ts"

const { lua, lauxlib, to_luastring } = fengari

/** Deeper replies and documents are refused, which also covers a table that contains itself. */
const DEPTH_MAX = 1_000

/** The value of `cjson.null`: an object that equals only itself. */
const JSON_NULL = {}

export function pushText(L: LuaState, text: string): void {
  lua.lua_pushstring(L, Buffer.from(text, "utf8"))
}

/** The string or number at `index` as text, `undefined` for anything else. */
export function textAt(L: LuaState, index: number): string | undefined {
  const type = lua.lua_type(L, index)
  if (type === lua.LUA_TNUMBER) return argumentText(lua.lua_tonumber(L, index))
  return type === lua.LUA_TSTRING ? Buffer.from(lua.lua_tostring(L, index) ?? []).toString("utf8") : undefined
}

/** A number argument of `redis.call`: integers are written in full, unlike by `tostring`. */
const argumentText = (value: number): string => (Number.isSafeInteger(value) ? String(value) : luaNumberText(value))

/** Pushes a command's reply like Redis: nil becomes `false`, a status or an error a table with one field. */
export function pushReply(L: LuaState, reply: RedisReply): void {
  lua.lua_checkstack(L, 4)
  if (reply === null) lua.lua_pushboolean(L, false)
  else if (typeof reply === "number") lua.lua_pushnumber(L, reply)
  else if (typeof reply === "string") pushText(L, reply)
  else if (reply instanceof Status) pushField(L, "ok", reply.text)
  else if (reply instanceof RedisError) pushField(L, "err", reply.message)
  else {
    lua.lua_createtable(L, reply.length, 0)
    for (const [index, item] of reply.entries()) {
      pushReply(L, item)
      lua.lua_rawseti(L, -2, index + 1)
    }
  }
}

export function pushField(L: LuaState, name: string, text: string): void {
  lua.lua_createtable(L, 0, 1)
  pushText(L, text)
  lua.lua_setfield(L, -2, to_luastring(name))
}

/** A script's result, converted like in Redis: numbers lose their fraction, and a list ends at its first nil. */
export function replyAt(L: LuaState, index: number, depth = 0): RedisReply {
  if (depth > DEPTH_MAX) throw new RedisError("ERR reached lua stack limit")
  const at = index < 0 ? lua.lua_gettop(L) + index + 1 : index
  switch (lua.lua_type(L, at)) {
    case lua.LUA_TSTRING:
      return textAt(L, at) ?? null
    case lua.LUA_TNUMBER:
      return Math.trunc(lua.lua_tonumber(L, at))
    case lua.LUA_TBOOLEAN:
      return lua.lua_toboolean(L, at) ? 1 : null
    case lua.LUA_TTABLE: {
      const error = fieldAt(L, at, "err")
      if (error !== undefined) return new RedisError(error)
      const status = fieldAt(L, at, "ok")
      return status === undefined ? listAt(L, at, depth) : new Status(status)
    }
    default:
      return null
  }
}

function listAt(L: LuaState, at: number, depth: number): RedisReply {
  const items: RedisReply[] = []
  lua.lua_checkstack(L, 4)
  while (lua.lua_rawgeti(L, at, items.length + 1) !== lua.LUA_TNIL) {
    items.push(replyAt(L, -1, depth + 1))
    lua.lua_pop(L, 1)
  }
  lua.lua_pop(L, 1)
  return items
}

/** The text in a field of the table at `at`, if it has one. */
export function fieldAt(L: LuaState, at: number, name: string): string | undefined {
  pushText(L, name)
  lua.lua_rawget(L, at)
  const text = lua.lua_type(L, -1) === lua.LUA_TSTRING ? textAt(L, -1) : undefined
  lua.lua_pop(L, 1)
  return text
}

/** Defines `cjson`, like the real one: an empty table is `{}`, `/` is escaped, numbers have 14 digits. */
export function openCjson(L: LuaState): void {
  lua.lua_createtable(L, 0, 3)
  lua.lua_pushjsfunction(L, (state) => {
    const json = attempt(state, () => encode(state, 1, 0))
    pushText(state, json)
    return 1
  })
  lua.lua_setfield(L, -2, to_luastring("encode"))
  lua.lua_pushjsfunction(L, (state) => {
    const value = attempt(state, (): unknown => JSON.parse(textAt(state, 1) ?? ""))
    pushJson(state, value)
    return 1
  })
  lua.lua_setfield(L, -2, to_luastring("decode"))
  lua.lua_pushlightuserdata(L, JSON_NULL)
  lua.lua_setfield(L, -2, to_luastring("null"))
  lua.lua_setglobal(L, to_luastring("cjson"))
}

/** A JavaScript exception must not cross Lua frames, so it becomes a Lua error. */
function attempt<T>(L: LuaState, work: () => T): T {
  try {
    return work()
  } catch (error) {
    return lauxlib.luaL_error(
      L,
      to_luastring((error instanceof Error ? error.message : String(error)).replaceAll("%", "%%")),
    )
  }
}

function encode(L: LuaState, index: number, depth: number): string {
  if (depth > DEPTH_MAX) throw new Error(`Cannot serialise, excessive depth (${depth})`)
  lua.lua_checkstack(L, 4)
  switch (lua.lua_type(L, index)) {
    case lua.LUA_TNIL:
      return "null"
    case lua.LUA_TBOOLEAN:
      return String(lua.lua_toboolean(L, index))
    case lua.LUA_TNUMBER: {
      const value = lua.lua_tonumber(L, index)
      if (!Number.isFinite(value)) throw new Error("Cannot serialise number: must not be NaN or Inf")
      return luaNumberText(value)
    }
    case lua.LUA_TSTRING:
      return encodeText(textAt(L, index) ?? "")
    case lua.LUA_TTABLE:
      return encodeTable(L, index, depth)
    default:
      if (lua.lua_touserdata(L, index) === JSON_NULL) return "null"
      throw new Error("Cannot serialise: type not supported")
  }
}

const encodeText = (text: string): string => JSON.stringify(text).replaceAll("/", "\\/").replaceAll("\u007f", "\\u007f")

function encodeTable(L: LuaState, index: number, depth: number): string {
  const members = new Map<string | number, string>()
  lua.lua_pushnil(L)
  while (lua.lua_next(L, index) !== 0) {
    const isNumber = lua.lua_type(L, -2) === lua.LUA_TNUMBER
    const key = isNumber ? lua.lua_tonumber(L, -2) : textAt(L, -2)
    if (key === undefined) throw new Error("Cannot serialise table: table key must be a number or string")
    members.set(key, encode(L, lua.lua_gettop(L), depth + 1))
    lua.lua_pop(L, 1)
  }
  const keys = [...members.keys()]
  const isList = keys.length > 0 && keys.every((key) => typeof key === "number" && Number.isInteger(key) && key > 0)
  if (!isList) {
    const fields = [...members].map(
      ([key, json]) => `${encodeText(typeof key === "number" ? luaNumberText(key) : key)}:${json}`,
    )
    return `{${fields.join(",")}}`
  }
  const length = Math.max(...keys.map(Number))
  if (length > 10 && length > keys.length * 2) throw new Error("Cannot serialise table: excessively sparse array")
  return `[${Array.from({ length }, (_, i) => members.get(i + 1) ?? "null").join(",")}]`
}

function pushJson(L: LuaState, value: unknown): void {
  lua.lua_checkstack(L, 4)
  if (value === null) lua.lua_pushlightuserdata(L, JSON_NULL)
  else if (typeof value === "number") lua.lua_pushnumber(L, value)
  else if (typeof value === "boolean") lua.lua_pushboolean(L, value)
  else if (typeof value === "string") pushText(L, value)
  else if (Array.isArray(value)) {
    lua.lua_createtable(L, value.length, 0)
    for (const [index, item] of value.entries()) {
      pushJson(L, item)
      lua.lua_rawseti(L, -2, index + 1)
    }
  } else {
    lua.lua_createtable(L, 0, 0)
    for (const [key, item] of Object.entries(value ?? {})) {
      pushText(L, key)
      pushJson(L, item)
      lua.lua_rawset(L, -3)
    }
  }
}
