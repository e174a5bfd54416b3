import { glob, integer, options } from "../arguments.ts"
import type { RedisReply } from "../reply.ts"
import type { Store } from "../store.ts"
import { type Commands, MANY, read, write } from "./command.ts"

export const sets: Commands = {
  SCARD: read(1, 1, (store, [key = ""]) => membersAt(store, key).size),
  SMEMBERS: read(1, 1, (store, [key = ""]) => [...membersAt(store, key)]),
  SISMEMBER: read(2, 2, (store, [key = "", member = ""]) => Number(membersAt(store, key).has(member))),
  SMISMEMBER: read(2, MANY, (store, [key = "", ...members]) =>
    members.map((member) => Number(membersAt(store, key).has(member))),
  ),
  SINTER: read(1, MANY, (store, [key = "", ...others]) =>
    [...membersAt(store, key)].filter((member) => others.every((other) => membersAt(store, other).has(member))),
  ),
  SUNION: read(1, MANY, (store, keys) => [...new Set(keys.flatMap((key) => [...membersAt(store, key)]))]),
  SDIFF: read(1, MANY, (store, [key = "", ...others]) =>
    [...membersAt(store, key)].filter((member) => !others.some((other) => membersAt(store, other).has(member))),
  ),
  SRANDMEMBER: read(1, 2, (store, [key = "", count]) => {
    const members = shuffled(membersAt(store, key))
    return count === undefined ? (members[0] ?? null) : members.slice(0, Math.abs(integer(count)))
  }),
  SSCAN: read(2, MANY, (store, [key = "", , ...rest]) => {
    const matches = glob(options(rest, { MATCH: 1, COUNT: 1 }).MATCH?.[0] ?? "*")
    return ["0", [...membersAt(store, key)].filter((member) => matches.test(member))]
  }),

  SADD: write(2, MANY, (store, [key = "", ...added]) => {
    const { members } = store.open(key, "set")
    const before = members.size
    for (const member of added) members.add(member)
    return members.size - before
  }),
  SREM: write(2, MANY, (store, [key = "", ...removed]) => removeFrom(store, key, removed)),
  SPOP: write(1, 2, (store, [key = "", count]): RedisReply => {
    const taken = shuffled(membersAt(store, key)).slice(0, count === undefined ? 1 : integer(count))
    removeFrom(store, key, taken)
    return count === undefined ? (taken[0] ?? null) : taken
  }),
  SMOVE: write(3, 3, (store, [from = "", to = "", member = ""]) => {
    store.read(to, "set") // refuses the wrong type before anything is removed
    if (removeFrom(store, from, [member]) === 0) return 0
    store.open(to, "set").members.add(member)
    return 1
  }),
}

function membersAt(store: Store, key: string): Set<string> {
  return store.read(key, "set")?.members ?? new Set()
}

function removeFrom(store: Store, key: string, removed: readonly string[]): number {
  const members = membersAt(store, key)
  const count = removed.filter((member) => members.delete(member)).length
  if (members.size === 0) store.remove(key)
  return count
}

function shuffled(members: Set<string>): string[] {
  return [...members]
    .map((member) => ({ member, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ member }) => member)
}
