/** A call with an end: of its own when it has an answer, else when `ms` have passed or `signal` says that nobody waits. */
export async function withDeadline<T>(
  { ms, signal }: { readonly ms: number; readonly signal: AbortSignal },
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController()
  // What the call makes of the signal is its own affair: a `fetch` that is cut off at a bad moment may never say so.
  const ended = new Promise<never>((_, reject) => {
    limit.signal.addEventListener("abort", () => reject(limit.signal.reason), { once: true })
  })
  const cut = (): void => limit.abort(signal.reason)
  const timer = setTimeout(() => limit.abort(new DOMException("no answer in time", "TimeoutError")), ms)
  timer.unref()
  signal.addEventListener("abort", cut, { once: true })
  try {
    if (signal.aborted) cut()
    return await Promise.race([ended, call(limit.signal)])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener("abort", cut)
  }
}
