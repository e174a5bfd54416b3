import { createHash } from "node:crypto"
import fengari, { type LuaFunction, type LuaState } from "fengari"
import { useDoubles } from "./lua-numbers.ts"
import { fieldAt, openCjson, pushReply, pushText, replyAt, textAt } from "./lua-values.ts"
import { RedisError, type RedisReply } from "./reply.ts"

const { lua, lauxlib, lualib, to_luastring } = fengari

/** Runs Lua scripts like EVAL. */
export type Scripts = {
  /** Stores a script by its SHA-1, which is returned. Throws when it does not compile. */
  load(source: string): string
  has(sha: string): boolean
  /** Runs a stored script; throws NOSCRIPT when there is none. Errors of the script are thrown as RedisError. */
  run(sha: string, keys: readonly string[], args: readonly string[]): RedisReply
  /** Deletes all scripts. */
  flush(): void
}

/** An endless script would block the whole process; a real server answers BUSY after five seconds. */
const INSTRUCTIONS_MAX = 50_000_000

/** Functions of 5.1 that 5.3 lacks, and the rule that a script defines and reads no globals. */
const PRELUDE = `
unpack, loadstring = table.unpack, load
table.getn = function(list) return #list end
math.pow = function(x, y) return x ^ y end
dofile, loadfile, print, require, collectgarbage = nil, nil, nil, nil, nil

local tostring_any, format = tostring, string.format
tostring = function(value)
  return type(value) == "number" and value .. "" or tostring_any(value)
end
string.format = function(pattern, ...)
  local values, at = {...}, 0
  pattern = pattern:gsub("%%([-+ #0-9.]*)([%a%%])", function(flags, kind)
    if kind == "%" then return nil end
    at = at + 1
    if kind == "s" and type(values[at]) == "number" then values[at] = values[at] .. "" end
    if kind == "d" or kind == "i" then return "%" .. flags .. ".0f" end
  end)
  return format(pattern, unpack(values, 1, select("#", ...)))
end

redis.LOG_DEBUG, redis.LOG_VERBOSE, redis.LOG_NOTICE, redis.LOG_WARNING = 0, 1, 2, 3
redis.log = function() end
redis.replicate_commands = function() return true end
redis.status_reply = function(text) return { ok = text } end
redis.error_reply = function(text) return { err = (text:gsub("^%-", "")) } end

setmetatable(_G, {
  __index = function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
  end,
  __newindex = function() error("Attempt to modify a readonly table", 2) end,
})
`

/** A script engine whose `redis.call` calls `call`, which throws RedisError for a refusal. */
export function createScripts(call: (argv: readonly string[]) => RedisReply): Scripts {
  useDoubles()
  const compiled = new Map<string, number>()
  const L = lauxlib.luaL_newstate()
  openLibraries(L, call)
  execute(L, () => compile(L, PRELUDE, "@prelude"))

  function run(sha: string, keys: readonly string[], args: readonly string[]): RedisReply {
    const reference = compiled.get(sha)
    if (reference === undefined) throw new RedisError("NOSCRIPT No matching script. Please use EVAL.")
    setGlobalList(L, "KEYS", keys)
    setGlobalList(L, "ARGV", args)
    const stop: LuaFunction = (state) => lauxlib.luaL_error(state, to_luastring("Script killed: it ran for too long"))
    lua.lua_sethook(L, stop, lua.LUA_MASKCOUNT, INSTRUCTIONS_MAX)
    try {
      const reply = execute(L, () => lua.lua_rawgeti(L, lua.LUA_REGISTRYINDEX, reference))
      if (reply instanceof RedisError) throw reply
      return reply
    } catch (error) {
      if (!(error instanceof RedisError)) throw error
      const line = /user_script:(\d+):/.exec(error.message)?.[1]
      const place = line === undefined ? "" : `, on @user_script:${line}.`
      throw line === undefined ? error : new RedisError(`${error.message} script: ${sha}${place}`)
    } finally {
      lua.lua_sethook(L, null, 0, 0)
    }
  }

  return {
    load(source) {
      const sha = createHash("sha1").update(source).digest("hex")
      if (!compiled.has(sha)) {
        compile(L, withoutShebang(source), "@user_script")
        compiled.set(sha, lauxlib.luaL_ref(L, lua.LUA_REGISTRYINDEX))
      }
      return sha
    },
    has: (sha) => compiled.has(sha),
    run: (sha, keys, args) => run(sha.toLowerCase(), keys, args),
    flush: () => compiled.clear(),
  }
}

/** `#!lua flags=…` is for the server, not Lua. The empty line stays, so that line numbers are right. */
const withoutShebang = (source: string): string => source.replace(/^#![^\n]*/, "")

/** Leaves the compiled chunk on the stack. */
function compile(L: LuaState, source: string, name: string): void {
  const bytes = Buffer.from(source, "utf8")
  if (lauxlib.luaL_loadbuffer(L, bytes, bytes.length, to_luastring(name)) !== lua.LUA_OK) {
    const message = textAt(L, -1) ?? ""
    lua.lua_pop(L, 1)
    throw new RedisError(`ERR Error compiling script (new function): ${message}`)
  }
}

/** Runs the function that `push` puts on the stack and returns its first result. Restores the stack. */
function execute(L: LuaState, push: () => void): RedisReply {
  const top = lua.lua_gettop(L)
  try {
    push()
    if (lua.lua_pcall(L, 0, 1, 0) === lua.LUA_OK) return replyAt(L, -1)
    const isTable = lua.lua_type(L, -1) === lua.LUA_TTABLE
    const refusal = isTable ? fieldAt(L, lua.lua_gettop(L), "err") : undefined
    throw new RedisError(refusal ?? `ERR ${textAt(L, -1) ?? "unknown error"}`)
  } finally {
    lua.lua_settop(L, top)
  }
}

function setGlobalList(L: LuaState, name: string, items: readonly string[]): void {
  lua.lua_getglobal(L, to_luastring("_G"))
  pushText(L, name)
  pushReply(L, items)
  lua.lua_rawset(L, -3) // raw, since scripts may not set globals
  lua.lua_pop(L, 1)
}

function openLibraries(L: LuaState, call: (argv: readonly string[]) => RedisReply): void {
  const libraries = {
    _G: lualib.luaopen_base,
    math: lualib.luaopen_math,
    string: lualib.luaopen_string,
    table: lualib.luaopen_table,
  }
  for (const [name, open] of Object.entries(libraries)) {
    lauxlib.luaL_requiref(L, to_luastring(name), open, 1)
    lua.lua_pop(L, 1)
  }
  openCjson(L)

  const functions: Record<string, LuaFunction> = {
    call: (state) => {
      const reply = callFrom(state, call)
      pushReply(state, reply)
      return reply instanceof RedisError ? lua.lua_error(state) : 1
    },
    pcall: (state) => {
      pushReply(state, callFrom(state, call))
      return 1
    },
    sha1hex: (state) => {
      pushText(
        state,
        createHash("sha1")
          .update(lua.lua_tostring(state, 1) ?? new Uint8Array())
          .digest("hex"),
      )
      return 1
    },
  }
  lua.lua_createtable(L, 0, 10)
  for (const [name, run] of Object.entries(functions)) {
    lua.lua_pushjsfunction(L, run)
    lua.lua_setfield(L, -2, to_luastring(name))
  }
  lua.lua_setglobal(L, to_luastring("redis"))
}

/** Refusals are returned and not thrown: a JavaScript exception must not cross Lua frames. */
function callFrom(L: LuaState, call: (argv: readonly string[]) => RedisReply): RedisReply {
  const argv: string[] = []
  for (let index = 1; index <= lua.lua_gettop(L); index++) {
    const text = textAt(L, index)
    if (text === undefined) return new RedisError("ERR Lua redis lib command arguments must be strings or integers")
    argv.push(text)
  }
  if (argv.length === 0) return new RedisError("ERR Please specify at least one argument for this redis.call() call")
  try {
    return call(argv)
  } catch (error) {
    return error instanceof RedisError ? error : new RedisError(`ERR ${String(error)}`)
  }
}
