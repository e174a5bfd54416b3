/** What a start of the Worker costs, and its memory after a thousand requests, in workerd beside a bare Worker. */
import { measureWorkers, type WorkerSize } from "../bench/size/measure.ts"

/** CPU of a start, beyond that of a bare Worker: reading and evaluating the bundle (docs/decisions/0396-what-a-start-costs.md). */
const START_CPU_MS_GOAL = 60
/** What fails the check: more than is measured on a slow and busy machine. */
const START_CPU_MS_MAX = 250
/** The heap that is alive after the requests; an isolate may have 128 MB (Cloudflare Workers limits). */
const HEAP_BYTES_MAX = 64 * 1024 ** 2

/** The least is closest to the cost: a start next to other work is slower. */
const STARTS = 5
const REQUESTS = 1_000

const { bare, own } = await measureWorkers(STARTS, [REQUESTS])
const startCpuMs = cpuOf(own) - cpuOf(bare)
const heap = own.memory.at(-1)?.heapBytes ?? 0
process.stdout.write(
  `  start: ${startCpuMs.toFixed(0)} ms of CPU more than a bare Worker (goal ${START_CPU_MS_GOAL} ms, at most ${START_CPU_MS_MAX} ms)\n` +
    `  heap after ${REQUESTS} requests: ${mib(heap)} MiB, bare ${mib(bare.memory.at(-1)?.heapBytes ?? 0)} MiB (budget ${mib(HEAP_BYTES_MAX)} MiB)\n`,
)
if (startCpuMs > START_CPU_MS_MAX)
  throw new Error("a start is over its budget: something is built when modules are evaluated")
if (heap > HEAP_BYTES_MAX) throw new Error("the heap is over its budget: something keeps what a request made")

/** NaN where the kernel does not tell, which is within every budget. */
function cpuOf({ startCpuMs: measured }: WorkerSize): number {
  return Math.min(...measured.map((ms) => ms ?? Number.NaN))
}

function mib(bytes: number): string {
  return (bytes / 1024 ** 2).toFixed(1)
}
