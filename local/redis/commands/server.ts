import { Status } from "../reply.ts"
import { type Commands, read } from "./command.ts"

export const server: Commands = {
  PING: read(0, 1, (_, [message]) => message ?? new Status("PONG")),
  ECHO: read(1, 1, (_, [message = ""]) => message),
  TIME: read(0, 0, (store) => {
    const nowMs = store.now()
    return [String(Math.floor(nowMs / 1_000)), String((nowMs % 1_000) * 1_000)]
  }),
  INFO: read(
    0,
    1,
    (store) => `# Server\r\nredis_version:7.2.0\r\n# Keyspace\r\ndb0:keys=${store.entries().length}\r\n`,
  ),
}
