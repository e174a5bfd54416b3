/** A request to the Worker. */
export interface Call {
  readonly name: string
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array<ArrayBuffer> | null
  /** How long the caller waits. */
  readonly timeoutMs: number
}
