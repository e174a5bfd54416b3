/** The part of autocannon's API that is used here. */
declare module "autocannon" {
  import type { EventEmitter } from "node:events"

  namespace autocannon {
    interface Request {
      readonly method?: string
      readonly path?: string
      readonly body?: string
      readonly headers?: Readonly<Record<string, string>>
      /** Called before each request is sent. */
      readonly setupRequest?: (request: Request) => Request
    }
    /** One connection. It ends by itself once it has made `responseMax` requests, after the last answer. */
    interface Client extends EventEmitter {
      responseMax: number | undefined
    }
    interface Options {
      readonly url: string
      readonly connections: number
      readonly duration: number
      readonly timeout: number
      readonly requests: readonly Request[]
    }
    interface Instance extends EventEmitter {
      on(event: "response", listener: (client: Client, status: number, bytes: number, durationMs: number) => void): this
      on(event: "reqError", listener: (error: Error) => void): this
    }
  }

  function autocannon(options: autocannon.Options): autocannon.Instance
  export default autocannon
}
