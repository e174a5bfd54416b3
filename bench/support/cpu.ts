/**
 * CPU time of processes as the kernel counts it: all threads, user and system. A tick is 10 ms, under one percent of a
 * measurement of a few seconds.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"

/** Ticks per second of `/proc/<pid>/stat`; the same on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

/** Reads the milliseconds that a process has used so far. */
export type CpuClock = () => number

/** The CPU time of one process; null where there is no `/proc`. */
export function cpuOf(pid: number): CpuClock | null {
  if (!existsSync(`/proc/${pid}/stat`)) return null
  return () => millis(readStat(pid)?.own ?? 0)
}

/** The CPU time of a process and its children, those that have ended included; null where there is no `/proc`. */
export function cpuOfProcessTree(pid: number): CpuClock | null {
  if (!existsSync(`/proc/${pid}/stat`)) return null
  return () => {
    const parent = readStat(pid)
    let ticks = (parent?.own ?? 0) + (parent?.ofEndedChildren ?? 0)
    for (const name of readdirSync("/proc")) {
      if (!/^\d+$/.test(name)) continue
      const stat = readStat(Number(name))
      if (stat?.parentPid === pid) ticks += stat.own + stat.ofEndedChildren
    }
    return millis(ticks)
  }
}

interface Stat {
  readonly parentPid: number
  readonly own: number
  readonly ofEndedChildren: number
}

/** Undefined if the process has just ended. */
function readStat(pid: number): Stat | undefined {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8")
  } catch {
    return undefined
  }
  // The name in the second field may hold spaces and brackets; so fields are counted after it (proc(5): 4, 14 to 17).
  const fields = text
    .slice(text.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number)
  const [parentPid = 0, user = 0, system = 0, childUser = 0, childSystem = 0] = [1, 11, 12, 13, 14].map(
    (i) => fields[i],
  )
  return { parentPid, own: user + system, ofEndedChildren: childUser + childSystem }
}

const millis = (ticks: number): number => (ticks * 1000) / TICKS_PER_SECOND

/** The CPU time of this process. */
export const ownCpu: CpuClock = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

const NS_PER_MS = 1e6

/** CPU time of a process by the scheduler's own clock: all threads that are alive. Null where there is none. */
export function preciseCpuMs(pid: number): number | null {
  const folder = `/proc/${pid}/task`
  if (!existsSync(`/proc/${pid}/schedstat`)) return null
  const ofThreads = readdirSync(folder).map((thread) => {
    const [onCpuNs = "0"] = readFileSync(`${folder}/${thread}/schedstat`, "utf8").split(" ")
    return Number(onCpuNs) / NS_PER_MS
  })
  return ofThreads.reduce((sum, ms) => sum + ms, 0)
}
