/** Supervises processes: one that ends unexpectedly is restarted, as its platform would do. */

/** A process that can end by itself. */
export type Process = {
  /** Resolves when it has ended for any reason. Never rejects. */
  readonly exited: Promise<void>
  stop(): Promise<void>
}

/** A process that is restarted. */
export type Supervised<Part> = {
  /** The running process, or the last one. */
  current(): Part
  /** Stops it without a restart. May be called twice. */
  stop(): Promise<void>
}

/** How long the cleanup of an ended process may take. */
const REMOVE_MS_MAX = 5_000
/** The wait between failed restarts. */
const PAUSE_MS = 500

/**
 * Starts a process and restarts it each time it ends without `stop`. Rejects when the first start fails; later failures
 * are retried until `stop`. `onLost` is called at each unexpected end, `onBack` after each restart.
 */
export async function superviseProcess<Part extends Process>(
  start: (previous: Part | null) => Promise<Part>,
  { onLost = () => {}, onBack = () => {} }: { readonly onLost?: () => void; readonly onBack?: () => void } = {},
): Promise<Supervised<Part>> {
  let current = await start(null)
  let isWanted = true
  let restarting: Promise<void> = Promise.resolve()

  const watch = (part: Part): void => {
    void part.exited.then(() => {
      if (isWanted) restarting = restart(part)
    })
  }

  async function restart(lost: Part): Promise<void> {
    onLost()
    await Promise.race([lost.stop().catch(() => {}), sleep(REMOVE_MS_MAX)])
    while (isWanted) {
      try {
        current = await start(lost)
        break
      } catch {
        await sleep(PAUSE_MS)
      }
    }
    if (!isWanted) return
    watch(current)
    onBack()
  }

  watch(current)
  return {
    current: () => current,
    async stop() {
      isWanted = false
      await restarting
      await current.stop()
    },
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
