import { integer } from "./arguments.ts"
import { type Commands, MANY, write } from "./commands/command.ts"
import { hashes } from "./commands/hashes.ts"
import { keys } from "./commands/keys.ts"
import { lists } from "./commands/lists.ts"
import { server } from "./commands/server.ts"
import { sets } from "./commands/sets.ts"
import { sortedSets } from "./commands/sorted-sets.ts"
import { streams } from "./commands/streams.ts"
import { strings } from "./commands/strings.ts"
import { createScripts, type Scripts } from "./lua.ts"
import { OK, RedisError, type RedisReply } from "./reply.ts"
import { Store } from "./store.ts"

/** A Redis database without a network: commands in, replies out, one at a time. */
export type Engine = {
  readonly store: Store
  /** Grows with every command that may have changed something. */
  readonly revision: number
  /** Runs one command. Throws RedisError when it is refused. */
  execute(argv: readonly string[]): RedisReply
  /** Throws the errors of `execute` that precede any effect: unknown name, wrong number of words. */
  check(argv: readonly string[]): void
}

const DATA_COMMANDS: Commands = {
  ...strings,
  ...keys,
  ...hashes,
  ...lists,
  ...sets,
  ...sortedSets,
  ...streams,
  ...server,
}

/** An empty database with the time of `now`, in milliseconds since 1970. */
export function createEngine(now: () => number): Engine {
  const store = new Store(now)
  let revision = 0

  function execute(argv: readonly string[], known: Commands): RedisReply {
    const command = find(argv, known)
    if (command.writes) revision++
    return command.run(store, argv.slice(1))
  }

  // A script can call only data commands, so that it cannot start another script.
  const scripts = createScripts((argv) => execute(argv, DATA_COMMANDS))
  const allCommands = { ...DATA_COMMANDS, ...scriptCommands(scripts) }

  return {
    store,
    get revision() {
      return revision
    },
    execute: (argv) => execute(argv, allCommands),
    check: (argv) => void find(argv, allCommands),
  }
}

function find(argv: readonly string[], known: Commands) {
  const [name = ""] = argv
  const command = Object.hasOwn(known, name.toUpperCase()) ? known[name.toUpperCase()] : undefined
  if (!command) throw new RedisError(`ERR unknown command '${name}'`)
  const count = argv.length - 1
  if (count < command.argsMin || count > command.argsMax) {
    throw new RedisError(`ERR wrong number of arguments for '${name.toLowerCase()}' command`)
  }
  return command
}

function scriptCommands(scripts: Scripts): Commands {
  const evaluate = write(2, MANY, (_, [source = "", ...rest]) => run(scripts.load(source), rest))
  const evaluateSha = write(2, MANY, (_, [sha = "", ...rest]) => run(sha, rest))

  function run(sha: string, [keyCount, ...rest]: readonly string[]): RedisReply {
    const count = integer(keyCount)
    if (count < 0) throw new RedisError("ERR Number of keys can't be negative")
    if (count > rest.length) throw new RedisError("ERR Number of keys can't be greater than number of args")
    return scripts.run(sha, rest.slice(0, count), rest.slice(count))
  }

  return {
    EVAL: evaluate,
    EVAL_RO: evaluate,
    EVALSHA: evaluateSha,
    EVALSHA_RO: evaluateSha,
    SCRIPT: write(1, MANY, (_, [word = "", ...rest]) => {
      switch (word.toUpperCase()) {
        case "LOAD":
          return scripts.load(rest[0] ?? "")
        case "EXISTS":
          return rest.map((sha) => Number(scripts.has(sha.toLowerCase())))
        case "FLUSH":
          scripts.flush()
          return OK
        default:
          throw new RedisError(`ERR unknown subcommand '${word}'. Try SCRIPT HELP.`)
      }
    }),
  }
}
