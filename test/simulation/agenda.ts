/** Future events by virtual time; those of the same millisecond run in the order in which they were put. */

export interface Entry {
  readonly atMs: number
  readonly name: string
  run(): Promise<void> | void
}

export class Agenda {
  #heap: (Entry & { readonly order: number })[] = []
  #order = 0

  get nextAtMs(): number | null {
    return this.#heap[0]?.atMs ?? null
  }

  get size(): number {
    return this.#heap.length
  }

  put(atMs: number, name: string, run: Entry["run"]): void {
    const heap = this.#heap
    heap.push({ atMs, name, run, order: this.#order++ })
    let child = heap.length - 1
    while (child > 0) {
      const parent = (child - 1) >> 1
      if (!this.#isBefore(child, parent)) return
      this.#swap(child, parent)
      child = parent
    }
  }

  take(): Entry | null {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined) return null
    if (heap.length === 0) return first
    heap[0] = last
    let parent = 0
    for (;;) {
      const [left, right] = [2 * parent + 1, 2 * parent + 2]
      let least = parent
      if (left < heap.length && this.#isBefore(left, least)) least = left
      if (right < heap.length && this.#isBefore(right, least)) least = right
      if (least === parent) return first
      this.#swap(parent, least)
      parent = least
    }
  }

  #isBefore(one: number, other: number): boolean {
    const [a, b] = [this.#heap[one], this.#heap[other]]
    if (a === undefined || b === undefined) return false
    return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
  }

  #swap(one: number, other: number): void {
    const [a, b] = [this.#heap[one], this.#heap[other]]
    if (a === undefined || b === undefined) return
    this.#heap[one] = b
    this.#heap[other] = a
  }
}
