/**
 * The globals of the platform, replaced for the bundle only: they are parameters of the function that wraps it, so the
 * product needs no change and the rest of the process is unaffected. Time stands still while code runs, as in workerd, and
 * advances between effects.
 */
import { webcrypto } from "node:crypto"
import { synchronousCrypto } from "./crypto.ts"
import type { ModuleState } from "./module-state.ts"

export interface SeamSources {
  /** The time for the running code. */
  nowMs(): number
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>
  /** Runs `callback` after so many milliseconds, if its task has not ended. */
  setTimer(callback: () => void, delayMs: number): number
  clearTimer(id: number): void
  /** In [0, 1). */
  random(): number
  fill(bytes: Uint8Array): void
  /** An operation of WebCrypto began or ended: it runs on another thread, and the run waits for it. */
  cryptoBegins(): void
  cryptoEnds(): void
  log(line: string): void
  /** The state of the modules for the running code. */
  moduleState(): ModuleState
  /** The run is over: releases what it holds. */
  end(): void
}

/** Each global's name and its replacement. */
export type Seams = Readonly<Record<string, unknown>>

/** Builds the replacements. */
export function makeSeams(sources: Omit<SeamSources, "end" | "moduleState">): Seams {
  const RealDate = Date
  class WorldDate extends RealDate {
    constructor(...parts: [] | [number | string | Date] | [number, number, ...number[]]) {
      if (parts.length === 0) super(sources.nowMs())
      else super(...(parts as [number]))
    }
    static override now(): number {
      return sources.nowMs()
    }
  }

  const setTimeout = (callback: (...args: unknown[]) => void, delayMs = 0, ...args: unknown[]): number =>
    sources.setTimer(() => callback(...args), Math.ceil(delayMs)) // Date has whole milliseconds
  const clearTimeout = (id: number | undefined): void => {
    if (id !== undefined) sources.clearTimer(id)
  }

  const timeout = (ms: number): AbortSignal => {
    const controller = new AbortController()
    sources.setTimer(() => controller.abort(new DOMException("The operation timed out", "TimeoutError")), Math.ceil(ms))
    return controller.signal
  }
  const WorldAbortSignal = new Proxy(AbortSignal, {
    get: (target, name, receiver) => (name === "timeout" ? timeout : Reflect.get(target, name, receiver)),
  })

  const WorldMath = Object.create(Math, { random: { value: sources.random } })
  const overrides = {
    fetch: sources.fetch,
    Date: WorldDate,
    setTimeout,
    clearTimeout,
    setInterval: unavailable("setInterval"),
    setImmediate: unavailable("setImmediate"),
    queueMicrotask,
    AbortSignal: WorldAbortSignal,
    Math: WorldMath,
    crypto: worldCrypto(sources),
    performance: { now: sources.nowMs, timeOrigin: 0 },
    console: consoleTo(sources.log),
    process: undefined,
    Buffer: undefined,
    caches: undefined,
  }
  const world = Object.create(globalThis, Object.getOwnPropertyDescriptors(overrides))
  return { ...overrides, globalThis: world, self: world, global: undefined }
}

const unavailable = (name: string) => () => {
  throw new Error(`the simulator has no ${name}; add it before the Worker uses it`)
}

function worldCrypto({ fill, cryptoBegins, cryptoEnds }: Omit<SeamSources, "end" | "moduleState">) {
  const getRandomValues = <T extends ArrayBufferView>(view: T): T => {
    fill(new Uint8Array(view.buffer, view.byteOffset, view.byteLength))
    return view
  }
  /** Operations end one at a time, in the order in which they began, independent of threads. */
  let last: Promise<unknown> = Promise.resolve()
  const inOrder = async <T>(operation: Promise<T>): Promise<T> => {
    cryptoBegins()
    const before = last
    const mine = operation.then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    )
    last = Promise.all([before, mine]).then(nextTurn)
    const [, outcome] = await Promise.all([before, mine])
    cryptoEnds()
    if ("error" in outcome) throw outcome.error
    return outcome.value
  }
  const subtle = new Proxy(webcrypto.subtle, {
    get(target, name) {
      const operation: unknown = Reflect.get(target, name, target)
      if (typeof operation !== "function") return operation
      return (...args: unknown[]) => {
        const quick = synchronousCrypto(String(name), args)
        // As a promise like WebCrypto's; an error rejects it.
        return quick ? quick() : inOrder(Promise.resolve(operation.apply(target, args)))
      }
    },
  })
  return {
    subtle,
    getRandomValues,
    randomUUID(): string {
      const bytes = getRandomValues(new Uint8Array(16))
      bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
      bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
      const hex = Buffer.from(bytes).toString("hex")
      return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-")
    },
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const consoleTo = (log: (line: string) => void) =>
  Object.fromEntries(
    ["debug", "log", "info", "warn", "error"].map((name) => [name, (...parts: unknown[]) => log(parts.join(" "))]),
  )
