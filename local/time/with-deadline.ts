/** Runs a call until it ends, `ms` have passed or `signal` is aborted. */
export async function withDeadline<T>(
  { ms, signal }: { readonly ms: number; readonly signal: AbortSignal },
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController()
  // Does not rely on the call to react to the signal: an aborted `fetch` may never settle.
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
