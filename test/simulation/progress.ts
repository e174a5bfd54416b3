/** A line of progress on standard error. */

/** Interval of output to a terminal; longer for a log file. */
const EVERY_MS = process.stderr.isTTY ? 500 : 15_000

export class Progress {
  readonly #what: string
  readonly #startedAt = performance.now()
  #shownAt = performance.now()

  constructor(what: string) {
    this.#what = what
  }

  /** Writes the progress, at most once per interval. */
  show(done: number, total: number, more: string): void {
    const now = performance.now()
    const isLast = done >= total
    if (now - this.#shownAt < EVERY_MS && !isLast) return
    this.#shownAt = now
    const perSecond = (done / ((now - this.#startedAt) / 1_000)).toFixed(1)
    const line = `${this.#what} ${done}/${total}, ${perSecond}/s, ${more}`
    process.stderr.write(process.stderr.isTTY ? `\r\u001b[K${line}${isLast ? "\n" : ""}` : `${line}\n`)
  }
}
