/** Memory of a process, and of the JavaScript in a workerd. */
import { readFileSync } from "node:fs"
import { z } from "zod"
import { LOOPBACK } from "../../local/loopback.ts"
import type { ServedWorker } from "../../local/processes/workerd.ts"

/** Resident memory of a process; null where there is no `/proc`. */
export function residentBytes(pid: number): number | null {
  try {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
    return kib === undefined ? null : Number(kib) * 1024
  } catch {
    return null
  }
}

const targets = z.array(z.object({ webSocketDebuggerUrl: z.string() }))
const answer = z.object({ id: z.number(), result: z.looseObject({ usedSize: z.number().optional() }).optional() })

const ANSWER_MS_MAX = 20_000

/** Bytes of live objects, after a collection, of a Worker that was started with an inspector. */
export async function heapBytes({ inspectorPort, url }: ServedWorker): Promise<number> {
  if (inspectorPort === null) throw new Error("the Worker was started without an inspector")
  const response = await fetch(`http://${LOOPBACK}:${inspectorPort}/json`)
  const [target] = targets.parse(await response.json())
  if (target === undefined) throw new Error("the inspector lists no isolate")
  const socket = new WebSocket(target.webSocketDebuggerUrl)
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve, { once: true })
    socket.addEventListener("error", () => reject(new Error("the inspector refused")), { once: true })
  })
  const ask = (id: number, method: string): Promise<z.infer<typeof answer>> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the inspector did not answer ${method}`)), ANSWER_MS_MAX)
      const listen = (event: MessageEvent): void => {
        const parsed = answer.safeParse(JSON.parse(String(event.data)))
        if (!parsed.success || parsed.data.id !== id) return
        socket.removeEventListener("message", listen)
        clearTimeout(timer)
        resolve(parsed.data)
      }
      socket.addEventListener("message", listen)
      socket.send(JSON.stringify({ id, method }))
    })
  try {
    await ask(1, "HeapProfiler.enable")
    let isCollected = false
    const collected = ask(2, "HeapProfiler.collectGarbage").finally(() => {
      isCollected = true
    })
    // An isolate collects when it runs next, after it has received the message.
    while (!isCollected) await (await fetch(url)).arrayBuffer()
    await collected
    const { result } = await ask(3, "Runtime.getHeapUsage")
    if (result?.usedSize === undefined) throw new Error("the inspector told no size")
    return result.usedSize
  } finally {
    socket.close()
  }
}
