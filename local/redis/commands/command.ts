import type { RedisReply } from "../reply.ts"
import type { Store } from "../store.ts"

/**
 * One command. `run` gets the words after the name, whose number is between `argsMin` and `argsMax`; so a default in
 * its parameters (`[key = ""]`) is only for the compiler and is never used.
 */
export type Command = {
  readonly argsMin: number
  readonly argsMax: number
  readonly writes: boolean
  readonly run: (store: Store, args: readonly string[]) => RedisReply
}

/** A command that changes nothing. */
export const read = (argsMin: number, argsMax: number, run: Command["run"]): Command => ({
  argsMin,
  argsMax,
  writes: false,
  run,
})

/** A command that may change data. */
export const write = (argsMin: number, argsMax: number, run: Command["run"]): Command => ({
  argsMin,
  argsMax,
  writes: true,
  run,
})

/** For `argsMax`: any number of words. */
export const MANY = Number.POSITIVE_INFINITY

/** Commands by their name in capitals. */
export type Commands = Readonly<Record<string, Command>>
