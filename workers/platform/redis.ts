import { Redis } from "@upstash/redis/cloudflare"

/** Nothing that waits for Redis may wait longer, retry included: the client asks for one signal per command. */
const COMMAND_TIMEOUT_MS = 250
/** The client's own five retries would take four seconds. */
const RETRIES = 1
const RETRY_WAIT_MS = 20

/**
 * A Redis client for one request. Values come back as the text they are: the client would otherwise turn `"false"`, `"1"`
 * and long ids into something else. The signal is a function because the client takes the abort of a plain signal for an
 * answer. `spend` is called before each request, and may throw instead of letting it be made.
 */
export const makeRedis = (
  config: { readonly url: string; readonly token: string },
  spend: () => void = () => undefined,
): Redis =>
  new Redis({
    url: config.url,
    token: config.token,
    automaticDeserialization: false,
    enableTelemetry: false,
    // The client asks for a wait before each repetition, and for a signal before each first request.
    retry: {
      retries: RETRIES,
      backoff: () => {
        spend()
        return RETRY_WAIT_MS
      },
    },
    signal: () => {
      spend()
      return AbortSignal.timeout(COMMAND_TIMEOUT_MS)
    },
  })
