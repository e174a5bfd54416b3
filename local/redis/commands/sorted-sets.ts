import { float, floatText, glob, integer, options, pairs, scoreBound, sliceBounds } from "../arguments.ts"
import { RedisError, type RedisReply, syntaxError } from "../reply.ts"
import type { Store } from "../store.ts"
import { type Commands, MANY, read, write } from "./command.ts"

type Member = readonly [member: string, score: number]

export const sortedSets: Commands = {
  ZCARD: read(1, 1, (store, [key = ""]) => scoresAt(store, key).size),
  ZSCORE: read(2, 2, (store, [key = "", member = ""]) => scoreText(store, key, member)),
  ZMSCORE: read(2, MANY, (store, [key = "", ...members]) => members.map((member) => scoreText(store, key, member))),
  ZCOUNT: read(3, 3, (store, [key = "", min, max]) => byScore(ranked(store, key), min, max).length),
  ZRANK: read(2, 2, (store, [key = "", member]) => rank(ranked(store, key), member)),
  ZREVRANK: read(2, 2, (store, [key = "", member]) => rank(ranked(store, key).reverse(), member)),
  ZRANGE: read(3, MANY, (store, [key = "", start, stop, ...rest]) => {
    const { BYSCORE, REV, LIMIT, WITHSCORES } = options(rest, { BYSCORE: 0, REV: 0, LIMIT: 2, WITHSCORES: 0 })
    if (LIMIT && !BYSCORE) throw syntaxError()
    const members = ranked(store, key)
    if (BYSCORE) {
      const found = REV ? byScore(members, stop, start).reverse() : byScore(members, start, stop)
      return written(limited(found, LIMIT), WITHSCORES)
    }
    return written(byRank(REV ? members.reverse() : members, start, stop), WITHSCORES)
  }),
  ZREVRANGE: read(3, 4, (store, [key = "", start, stop, ...rest]) =>
    written(byRank(ranked(store, key).reverse(), start, stop), options(rest, { WITHSCORES: 0 }).WITHSCORES),
  ),
  ZRANGEBYSCORE: read(3, MANY, (store, [key = "", min, max, ...rest]) => {
    const { LIMIT, WITHSCORES } = options(rest, { LIMIT: 2, WITHSCORES: 0 })
    return written(limited(byScore(ranked(store, key), min, max), LIMIT), WITHSCORES)
  }),
  ZREVRANGEBYSCORE: read(3, MANY, (store, [key = "", max, min, ...rest]) => {
    const { LIMIT, WITHSCORES } = options(rest, { LIMIT: 2, WITHSCORES: 0 })
    return written(limited(byScore(ranked(store, key), min, max).reverse(), LIMIT), WITHSCORES)
  }),
  ZSCAN: read(2, MANY, (store, [key = "", , ...rest]) => {
    const matches = glob(options(rest, { MATCH: 1, COUNT: 1 }).MATCH?.[0] ?? "*")
    return [
      "0",
      written(
        ranked(store, key).filter(([member]) => matches.test(member)),
        [],
      ),
    ]
  }),

  ZADD: write(3, MANY, zadd),
  ZINCRBY: write(3, 3, (store, [key = "", by, member = ""]) => {
    const score = (scoresAt(store, key).get(member) ?? 0) + float(by)
    store.open(key, "zset").scores.set(member, score)
    return floatText(score)
  }),
  ZREM: write(2, MANY, (store, [key = "", ...members]) => removeFrom(store, key, members)),
  ZREMRANGEBYSCORE: write(3, 3, (store, [key = "", min, max]) =>
    removeFrom(store, key, names(byScore(ranked(store, key), min, max))),
  ),
  ZREMRANGEBYRANK: write(3, 3, (store, [key = "", start, stop]) =>
    removeFrom(store, key, names(byRank(ranked(store, key), start, stop))),
  ),
  ZPOPMIN: write(1, 2, (store, [key = "", count]) => pop(store, key, ranked(store, key), count)),
  ZPOPMAX: write(1, 2, (store, [key = "", count]) => pop(store, key, ranked(store, key).reverse(), count)),
}

const ZADD_FLAGS = ["NX", "XX", "GT", "LT", "CH", "INCR"]

function zadd(store: Store, [key = "", ...args]: readonly string[]): RedisReply {
  const first = args.findIndex((word) => !ZADD_FLAGS.includes(word.toUpperCase()))
  const flags = new Set(args.slice(0, first === -1 ? args.length : first).map((word) => word.toUpperCase()))
  const added = pairs(first === -1 ? [] : args.slice(first)).map(([score, member]) => [member, float(score)] as const)
  if (added.length === 0) throw syntaxError()
  if (flags.has("NX") && ["XX", "GT", "LT"].some((flag) => flags.has(flag))) {
    throw new RedisError("ERR XX and NX options at the same time are not compatible")
  }
  if (flags.has("INCR") && added.length > 1) {
    throw new RedisError("ERR INCR option supports a single increment-element pair")
  }

  const present = scoresAt(store, key)
  const scores = new Map<string, number>()
  let made = 0
  let changed = 0
  for (const [member, given] of added) {
    const before = scores.get(member) ?? present.get(member)
    const score = flags.has("INCR") ? (before ?? 0) + given : given
    const refused =
      (flags.has("NX") && before !== undefined) ||
      (flags.has("XX") && before === undefined) ||
      (flags.has("GT") && before !== undefined && score <= before) ||
      (flags.has("LT") && before !== undefined && score >= before)
    if (refused && flags.has("INCR")) return null
    if (refused) continue
    if (before === undefined) made++
    else if (before !== score) changed++
    scores.set(member, score)
  }
  for (const [member, score] of scores) store.open(key, "zset").scores.set(member, score)
  if (flags.has("INCR")) return scoreText(store, key, added[0]?.[0] ?? "")
  return flags.has("CH") ? made + changed : made
}

function scoresAt(store: Store, key: string): Map<string, number> {
  return store.read(key, "zset")?.scores ?? new Map()
}

function scoreText(store: Store, key: string, member: string): string | null {
  const score = scoresAt(store, key).get(member)
  return score === undefined ? null : floatText(score)
}

/** All members in order: by score, then by name. */
function ranked(store: Store, key: string): Member[] {
  return [...scoresAt(store, key)].sort(([a, scoreA], [b, scoreB]) => scoreA - scoreB || (a < b ? -1 : 1))
}

function byScore(members: readonly Member[], minText: string | undefined, maxText: string | undefined): Member[] {
  const [min, max] = [scoreBound(minText), scoreBound(maxText)]
  return members.filter(
    ([, score]) =>
      (min.excluded ? score > min.value : score >= min.value) &&
      (max.excluded ? score < max.value : score <= max.value),
  )
}

function byRank(members: readonly Member[], start: string | undefined, stop: string | undefined): Member[] {
  return members.slice(...sliceBounds(integer(start), integer(stop), members.length))
}

function limited(members: Member[], limit: readonly string[] | undefined): Member[] {
  if (!limit) return members
  const [offset, count] = [integer(limit[0]), integer(limit[1])]
  return members.slice(offset, count < 0 ? undefined : offset + count)
}

const names = (members: readonly Member[]): string[] => members.map(([member]) => member)

const written = (members: readonly Member[], withScores: readonly string[] | undefined): string[] =>
  withScores ? members.flatMap(([member, score]) => [member, floatText(score)]) : names(members)

function rank(members: readonly Member[], member: string | undefined): number | null {
  const index = members.findIndex(([name]) => name === member)
  return index === -1 ? null : index
}

function pop(store: Store, key: string, members: readonly Member[], count: string | undefined): string[] {
  const taken = members.slice(0, count === undefined ? 1 : integer(count))
  removeFrom(store, key, names(taken))
  return written(taken, [])
}

function removeFrom(store: Store, key: string, members: readonly string[]): number {
  const scores = scoresAt(store, key)
  const count = members.filter((member) => scores.delete(member)).length
  if (scores.size === 0) store.remove(key)
  return count
}
