import { Redis } from "@upstash/redis/cloudflare"

/** For one command, retry included: the client requests one signal per command. */
const COMMAND_TIMEOUT_MS = 250
/** The client's own five retries would take four seconds. */
const RETRIES = 1
const RETRY_WAIT_MS = 20

/**
 * A Redis client for one request. Values are returned as text: deserialization would change `"false"`, `"1"` and long
 * ids. The signal is a function because the client returns the abort of a plain signal as an answer. `spend` is called
 * before each request, and may throw to prevent it.
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
    // The client calls `backoff` before each retry, and `signal` before each first request.
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
