import { integer, options } from "../arguments.ts"
import { RedisError, type RedisReply, syntaxError } from "../reply.ts"
import type { Store, StreamEntry, StreamId, ValueOf } from "../store.ts"
import { type Commands, MANY, read, write } from "./command.ts"

/** Streams without consumer groups: adding, reading in order, and trimming. */
export const streams: Commands = {
  XLEN: read(1, 1, (store, [key = ""]) => entriesAt(store, key).length),
  XRANGE: read(3, 5, (store, [key = "", start, end, ...rest]) => range(store, key, [start, end], rest)),
  XREVRANGE: read(3, 5, (store, [key = "", end, start, ...rest]) => range(store, key, [start, end], rest, "reverse")),
  XREAD: read(3, MANY, (store, args) => {
    const at = args.findIndex((word) => word.toUpperCase() === "STREAMS")
    if (at === -1 || (args.length - at - 1) % 2 !== 0) throw syntaxError()
    const { COUNT } = options(args.slice(0, at), { COUNT: 1, BLOCK: 1 })
    const words = args.slice(at + 1)
    const keys = words.slice(0, words.length / 2)
    const found = keys.map((key, index): [string, StreamEntry[]] => {
      const last = store.read(key, "stream")?.lastId ?? ZERO
      const word = words[keys.length + index] ?? ""
      const after = word === "$" ? last : parseId(word, 0)
      const newer = entriesAt(store, key).filter(({ id }) => compare(id, after) > 0)
      return [key, COUNT ? newer.slice(0, integer(COUNT[0])) : newer]
    })
    const answers = found.filter(([, newer]) => newer.length > 0).map(([key, newer]) => [key, newer.map(written)])
    return answers.length > 0 ? answers : null
  }),

  XADD: write(4, MANY, xadd),
  XDEL: write(2, MANY, (store, [key = "", ...words]) => {
    const stream = store.read(key, "stream")
    if (!stream) return 0
    const removed = new Set(words.map((word) => idText(parseId(word, 0))))
    const before = stream.entries.length
    stream.entries = stream.entries.filter(({ id }) => !removed.has(idText(id)))
    return before - stream.entries.length
  }),
  XTRIM: write(3, MANY, (store, [key = "", ...rest]) => {
    const { trim, rest: left } = takeTrim(rest)
    if (!trim || left.length > 0) throw syntaxError()
    const stream = store.read(key, "stream")
    return stream ? trim(stream) : 0
  }),
}

const ZERO: StreamId = { ms: 0, seq: 0 }

function xadd(store: Store, [key = "", ...args]: readonly string[]): RedisReply {
  const mustExist = args[0]?.toUpperCase() === "NOMKSTREAM"
  const { trim, rest } = takeTrim(mustExist ? args.slice(1) : args)
  const [idWord = "", ...fields] = rest
  if (fields.length === 0 || fields.length % 2 !== 0) {
    throw new RedisError("ERR wrong number of arguments for 'xadd' command")
  }
  const present = store.read(key, "stream")
  if (mustExist && !present) return null
  const id = nextId(idWord, present?.lastId ?? ZERO, store.now())
  const stream = store.open(key, "stream")
  stream.entries.push({ id, fields })
  stream.lastId = id
  trim?.(stream)
  return idText(id)
}

/** The id of a new entry. Ids only grow, even when the clock is set back. */
function nextId(word: string, last: StreamId, nowMs: number): StreamId {
  if (word === "*") return nowMs > last.ms ? { ms: nowMs, seq: 0 } : { ms: last.ms, seq: last.seq + 1 }
  const id = word.endsWith("-*")
    ? { ms: integer(word.slice(0, -2)), seq: integer(word.slice(0, -2)) === last.ms ? last.seq + 1 : 0 }
    : parseId(word, 0)
  if (compare(id, ZERO) === 0) throw new RedisError("ERR The ID specified in XADD must be greater than 0-0")
  if (compare(id, last) <= 0) {
    throw new RedisError("ERR The ID specified in XADD is equal or smaller than the target stream top item")
  }
  return id
}

/** Parses `MAXLEN|MINID [=|~] bound [LIMIT n]` at the start. `~` trims exactly, which it allows. */
function takeTrim(args: readonly string[]): {
  trim?: (stream: ValueOf<"stream">) => number
  rest: readonly string[]
} {
  const kind = args[0]?.toUpperCase()
  if (kind !== "MAXLEN" && kind !== "MINID") return { rest: args }
  const at = args[1] === "~" || args[1] === "=" ? 2 : 1
  const bound = args[at]
  const isKept =
    kind === "MAXLEN"
      ? (length: number) => (_: StreamEntry, index: number) => index >= length - integer(bound)
      : () =>
          ({ id }: StreamEntry) =>
            compare(id, parseId(bound ?? "", 0)) >= 0
  if (kind === "MAXLEN") integer(bound)
  const trim = (stream: ValueOf<"stream">): number => {
    const before = stream.entries.length
    stream.entries = stream.entries.filter(isKept(before))
    return before - stream.entries.length
  }
  return { trim, rest: args.slice(args[at + 1]?.toUpperCase() === "LIMIT" ? at + 3 : at + 1) }
}

function range(
  store: Store,
  key: string,
  [startWord = "", endWord = ""]: readonly [string | undefined, string | undefined],
  rest: readonly string[],
  order?: "reverse",
): RedisReply {
  const { COUNT } = options(rest, { COUNT: 1 })
  const start = startWord === "-" ? ZERO : parseId(startWord.replace("(", ""), 0)
  const end = endWord === "+" ? { ms: Infinity, seq: Infinity } : parseId(endWord.replace("(", ""), Infinity)
  const found = entriesAt(store, key).filter(
    ({ id }) =>
      compare(id, start) >= (startWord.startsWith("(") ? 1 : 0) &&
      compare(id, end) <= (endWord.startsWith("(") ? -1 : 0),
  )
  if (order === "reverse") found.reverse()
  return (COUNT ? found.slice(0, integer(COUNT[0])) : found).map(written)
}

function entriesAt(store: Store, key: string): StreamEntry[] {
  return store.read(key, "stream")?.entries ?? []
}

function parseId(word: string, seqDefault: number): StreamId {
  const match = /^(\d+)(?:-(\d+))?$/.exec(word)
  if (!match) throw new RedisError("ERR Invalid stream ID specified as stream command argument")
  return { ms: Number(match[1]), seq: match[2] === undefined ? seqDefault : Number(match[2]) }
}

const idText = ({ ms, seq }: StreamId): string => `${ms}-${seq}`
const compare = (a: StreamId, b: StreamId): number => Math.sign(a.ms - b.ms || a.seq - b.seq)
const written = ({ id, fields }: StreamEntry): RedisReply => [idText(id), fields]
