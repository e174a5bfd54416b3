import { createHash } from "node:crypto"
import { beforeEach, expect, test } from "vitest"
import { createEngine, type Engine } from "./engine.ts"
import { type RedisReply, Status } from "./reply.ts"

let engine: Engine
beforeEach(() => {
  engine = createEngine(() => 1_700_000_000_000)
})

function evaluate(script: string, keys: string[] = [], args: string[] = []): RedisReply {
  return engine.execute(["EVAL", script, String(keys.length), ...keys, ...args])
}

test("a script gets keys and arguments and calls commands", () => {
  const script = `
    redis.call('set', KEYS[1], ARGV[1], 'PX', 500)
    return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1]), #KEYS, #ARGV}`
  expect(evaluate(script, ["k"], ["wörld"])).toEqual(["wörld", 500, 1, 1])
})

test.each<[string, RedisReply]>([
  ["return 3.99", 3],
  ["return -3.99", -3],
  ["return true", 1],
  ["return false", null],
  ["return nil", null],
  ["return {1, 'a', nil, 3}", [1, "a"]],
  ["return {1, {2, {false}}}", [1, [2, [null]]]],
  ["return redis.status_reply('FINE')", new Status("FINE")],
  ["return redis.call('set', 'a', 1)", new Status("OK")],
  ["return redis.call('set', 'a', 1).ok", "OK"],
  ["return redis.call('get', 'absent') == false", 1],
  ["return type(redis.call('incr', 'n'))", "number"],
])("%s gives what Redis gives", (script, reply) => {
  expect(evaluate(script)).toEqual(reply)
})

test.each([
  ["return tostring(10 / 2)", "5"],
  ["return 7 / 2 .. ''", "3.5"],
  ["return tostring(1700000000 * 1000)", "1700000000000"],
  ["return ARGV[1] * 1000 + 1 .. ''", "1700000000001"],
  ["return tostring(tonumber(ARGV[2]) + 1)", "1700000000124"],
  ["return tostring(2 ^ 53)", "9.007199254741e+15"],
  ["return tostring(1e100)", "1e+100"],
  ["return tostring(0.1)", "0.1"],
  ["return tostring(3 % 2) .. tostring(-7 % 3)", "12"],
  ["return tostring(math.floor(ARGV[2] / 1000))", "1700000000"],
  ["return string.format('%d|%5.1f|%s|%%', ARGV[2], 1.25, 'x')", "1700000000123|  1.3|x|%"],
  ["return string.format('%s %s', 10 / 2, nil)", "5 nil"],
  ["local t = {} for i = 1, 3 do t[#t + 1] = i end return table.concat(t, ',')", "1,2,3"],
  ["return redis.call('set', 'n', 1700000000 * 1000) and redis.call('get', 'n')", "1700000000000"],
  ["return select('#', unpack({1, 2})) .. ''", "2"],
])("%s counts in doubles as Lua 5.1 does", (script, text) => {
  expect(evaluate(script, [], ["1700000000", "1700000000123"])).toBe(text)
})

test.each([
  ["return cjson.encode({})", "{}"],
  ["return cjson.encode({1, 'a/b', true, cjson.null})", '[1,"a\\/b",true,null]'],
  ["return cjson.encode({a = {b = 1.5}})", '{"a":{"b":1.5}}'],
  ["return cjson.encode(cjson.decode(ARGV[1]))", '{"list":[1,null,{"x":"é"}]}'],
  ["return cjson.encode(cjson.decode(ARGV[1]).list[3])", '{"x":"é"}'],
  ["return tostring(cjson.decode(ARGV[1]).list[2] == cjson.null)", "true"],
])("%s", (script, text) => {
  expect(evaluate(script, [], ['{"list":[1,null,{"x":"é"}]}'])).toBe(text)
})

test("an error in a script names its line; pcall returns it as a table", () => {
  expect(() => evaluate("\nerror('boom')")).toThrow(
    /^ERR user_script:2: boom script: [0-9a-f]{40}, on @user_script:2\.$/,
  )
  expect(() => evaluate("return redis.error_reply('MY refusal')")).toThrow("MY refusal")
  expect(() => evaluate("return redis.call('nonsense')")).toThrow("ERR unknown command 'nonsense'")
  engine.execute(["SET", "text", "abc"])
  expect(() => evaluate("return redis.call('lpush', 'text', 'a')")).toThrow(/^WRONGTYPE/)
  expect(evaluate("return redis.pcall('lpush', 'text', 'a').err")).toMatch(/^WRONGTYPE/)
  expect(evaluate("local ok = pcall(redis.call, 'lpush', 'text', 'a') return ok and 1 or 2")).toBe(2)
  expect(() => evaluate("return cjson.decode('{')")).toThrow(/^ERR /)
  expect(() => evaluate("return (")).toThrow("ERR Error compiling script")
  expect(() => evaluate("return redis.call('get', {})")).toThrow("must be strings or integers")
})

test("a script cannot define or read globals, or start another script", () => {
  expect(() => evaluate("counter = 1")).toThrow("readonly table")
  expect(() => evaluate("return undeclared")).toThrow("nonexistent global variable 'undeclared'")
  expect(() => evaluate("return redis.call('eval', 'return 1', 0)")).toThrow("unknown command")
  expect(() => evaluate("return os.time()")).toThrow("nonexistent global variable 'os'")
})

test("a script that never ends is stopped", () => {
  expect(() => evaluate("while true do end")).toThrow("Script killed")
  expect(evaluate("return 1")).toBe(1)
}, 30_000)

test("a script is found by the hash of its source, including the shebang", () => {
  const script = "#!lua flags=allow-key-locking\nreturn ARGV[1]"
  const sha = createHash("sha1").update(script).digest("hex")
  expect(() => engine.execute(["EVALSHA", sha, "0", "x"])).toThrow(/^NOSCRIPT/)
  expect(engine.execute(["SCRIPT", "LOAD", script])).toBe(sha)
  expect(engine.execute(["EVALSHA", sha, "0", "x"])).toBe("x")
  expect(engine.execute(["SCRIPT", "EXISTS", sha, "0"])).toEqual([1, 0])
  engine.execute(["SCRIPT", "FLUSH"])
  expect(() => engine.execute(["EVALSHA", sha, "0", "x"])).toThrow(/^NOSCRIPT/)
})
