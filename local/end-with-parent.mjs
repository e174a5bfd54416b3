/**
 * Loaded before a script that `bootstrap.mjs` starts: ends it with SIGTERM when the bootstrap was killed and could not
 * forward a signal. Child processes of the script may load it too; they have another parent and are not affected.
 */
import { isMainThread } from "node:worker_threads"

const parent = Number(process.env.CHURN_SAVER_BOOTSTRAP_PID)

// On Windows the id of an ended parent does not change.
if (isMainThread && process.platform !== "win32" && process.ppid === parent) {
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    process.kill(process.pid, "SIGTERM")
  }, 500)
  timer.unref()
}
