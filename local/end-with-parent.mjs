/**
 * Loaded before a script that `bootstrap.mjs` starts: ends it, in order, when the bootstrap was killed and could pass
 * nothing on. Helpers that the script starts may load this as well; they have another parent, and are left alone.
 */
import { isMainThread } from "node:worker_threads"

const parent = Number(process.env.CHURN_SAVER_BOOTSTRAP_PID)

// Windows goes on naming a parent that is gone.
if (isMainThread && process.platform !== "win32" && process.ppid === parent) {
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    process.kill(process.pid, "SIGTERM")
  }, 500)
  timer.unref()
}
