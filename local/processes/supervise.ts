/** Parts that are processes of their own: killed by accident they are started again, as their platforms would do it. */

/** A process that can end by itself. */
export type Process = {
  /** Resolves when it has ended, for whatever reason. Never rejects. */
  readonly exited: Promise<void>
  stop(): Promise<void>
}

/** A part that comes back. */
export type Supervised<Part> = {
  /** The one that runs, or the last that did. */
  current(): Part
  /** Ends it for good. May be called twice. */
  stop(): Promise<void>
}

/** A process that died is put away within this time, or left behind. */
const REMOVE_MS_MAX = 5_000
/** A part that cannot be started is tried again, but not in a tight loop. */
const PAUSE_MS = 500

/**
 * Starts a part and starts it again each time it ends without having been told to. Rejects when the first start fails;
 * later failures are tried again for as long as the part is wanted. `onLost` hears of each end, `onBack` of each return.
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
      if (isWanted) restarting = comeBack(part)
    })
  }

  async function comeBack(lost: Part): Promise<void> {
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
