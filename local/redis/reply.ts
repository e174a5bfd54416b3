/** The reply of a command: Redis' reply types as values. */
export type RedisReply = string | number | null | Status | RedisError | readonly RedisReply[]

/** A simple status such as `OK`, which is a table in Lua, not a string. */
export class Status {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** A refusal. The message starts with its code, as in `ERR syntax error`. Commands throw it. */
export class RedisError extends Error {
  override readonly name = "RedisError"
}

export const OK = new Status("OK")

export const syntaxError = (): RedisError => new RedisError("ERR syntax error")
