import { expect, test } from "vitest"
import { superviseProcess } from "./supervise.ts"

/** A process that a test can end; it logs calls. */
function process(log: string[], name: string) {
  let end = (): void => {}
  const exited = new Promise<void>((resolve) => {
    end = resolve
  })
  const stop = async (): Promise<void> => {
    log.push(`stop ${name}`)
    end()
  }
  return { name, exited, die: () => end(), stop }
}

const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20))

test("a process that ends is stopped and restarted, with access to its predecessor", async () => {
  const log: string[] = []
  const kept = await superviseProcess(
    async (previous: ReturnType<typeof process> | null) =>
      process(log, previous === null ? "first" : `${previous.name}+`),
    { onLost: () => log.push("lost"), onBack: () => log.push("back") },
  )
  kept.current().die()
  await soon()
  expect(kept.current().name).toBe("first+")
  kept.current().die()
  await soon()
  expect(kept.current().name).toBe("first++")
  expect(log).toEqual(["lost", "stop first", "back", "lost", "stop first+", "back"])
  await kept.stop()
})

test("a process that was stopped is not restarted", async () => {
  const log: string[] = []
  let starts = 0
  const kept = await superviseProcess(async () => process(log, String(++starts)))
  await kept.stop()
  await soon()
  expect({ starts, log }).toEqual({ starts: 1, log: ["stop 1"] })
})

test("a failed restart is retried", async () => {
  const log: string[] = []
  let starts = 0
  const kept = await superviseProcess(async () => {
    starts += 1
    if (starts === 2) throw new Error("the port is taken")
    return process(log, String(starts))
  })
  kept.current().die()
  await expect.poll(() => kept.current().name, { timeout: 5_000 }).toBe("3")
  await kept.stop()
})

test("a failed first start rejects", async () => {
  await expect(superviseProcess(() => Promise.reject(new Error("no binary")))).rejects.toThrow("no binary")
})
