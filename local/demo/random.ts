/** Random numbers that are the same for the same seed, on every machine. */

export type Random = {
  /** From 0 up to, but not including, 1. */
  next(): number
  /** A whole number from `min` to `max`, both included. */
  int(min: number, max: number): number
  chance(share: number): boolean
  /** Throws for an empty list. */
  pick<T>(choices: readonly T[]): T
  shuffled<T>(list: readonly T[]): T[]
  /** Returns the cards in shuffled order, and shuffles again after the last: every card occurs in a small company. */
  deck<T>(cards: readonly T[]): () => T
}

/** Mulberry32 by Tommy Ettinger (public domain): 32 bits of state are enough for a simulation. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0

  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  const int = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1))

  function shuffled<T>(list: readonly T[]): T[] {
    return list
      .map((value) => ({ value, place: next() }))
      .sort((a, b) => a.place - b.place)
      .map(({ value }) => value)
  }

  return {
    next,
    int,
    chance: (share) => next() < share,
    pick: (choices) => existing(choices[int(0, choices.length - 1)]),
    shuffled,
    deck(cards) {
      let left = shuffled(cards)
      return () => {
        if (left.length === 0) left = shuffled(cards)
        return existing(left.pop())
      }
    },
  }
}

function existing<T>(value: T | undefined): T {
  if (value === undefined) throw new RangeError("there is nothing to choose from")
  return value
}
