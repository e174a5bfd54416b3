/** The part of fengari's API (Lua 5.3's C API in JavaScript) that the script engine uses. */
declare module "fengari" {
  type LuaState = { readonly __brand: "lua_State" }
  type LuaFunction = (L: LuaState) => number

  const fengari: {
    to_luastring(text: string): Uint8Array
    lua: {
      LUA_OK: number
      LUA_MULTRET: number
      LUA_REGISTRYINDEX: number
      LUA_MASKCOUNT: number
      LUA_TNIL: number
      LUA_TBOOLEAN: number
      LUA_TLIGHTUSERDATA: number
      LUA_TNUMBER: number
      LUA_TSTRING: number
      LUA_TTABLE: number
      lua_checkstack(L: LuaState, size: number): boolean
      lua_createtable(L: LuaState, array: number, fields: number): void
      lua_error(L: LuaState): never
      lua_getglobal(L: LuaState, name: Uint8Array): number
      lua_getfield(L: LuaState, index: number, name: Uint8Array): number
      lua_gettop(L: LuaState): number
      lua_next(L: LuaState, index: number): number
      lua_pcall(L: LuaState, args: number, results: number, handler: number): number
      lua_pop(L: LuaState, count: number): void
      lua_pushboolean(L: LuaState, value: boolean): void
      lua_pushjsfunction(L: LuaState, value: LuaFunction): void
      lua_pushlightuserdata(L: LuaState, value: object): void
      lua_pushnil(L: LuaState): void
      lua_pushnumber(L: LuaState, value: number): void
      lua_pushstring(L: LuaState, value: Uint8Array): void
      lua_pushvalue(L: LuaState, index: number): void
      lua_rawget(L: LuaState, index: number): number
      lua_rawgeti(L: LuaState, index: number, key: number): number
      lua_rawseti(L: LuaState, index: number, key: number): void
      lua_rawset(L: LuaState, index: number): void
      lua_setglobal(L: LuaState, name: Uint8Array): void
      lua_sethook(L: LuaState, hook: ((L: LuaState) => void) | null, mask: number, count: number): void
      lua_setfield(L: LuaState, index: number, name: Uint8Array): void
      lua_settop(L: LuaState, index: number): void
      lua_toboolean(L: LuaState, index: number): boolean
      lua_tonumber(L: LuaState, index: number): number
      lua_tostring(L: LuaState, index: number): Uint8Array | null
      lua_touserdata(L: LuaState, index: number): unknown
      lua_type(L: LuaState, index: number): number
    }
    lauxlib: {
      luaL_error(L: LuaState, message: Uint8Array): never
      luaL_loadbuffer(L: LuaState, source: Uint8Array, size: number, name: Uint8Array): number
      luaL_newstate(): LuaState
      luaL_ref(L: LuaState, table: number): number
      luaL_requiref(L: LuaState, name: Uint8Array, open: LuaFunction, global: number): void
    }
    lualib: {
      luaopen_base: LuaFunction
      luaopen_math: LuaFunction
      luaopen_string: LuaFunction
      luaopen_table: LuaFunction
    }
  }
  export default fengari
  export type { LuaFunction, LuaState }
}
