/**
 * The order of snapshots of one subscription that carry the same second. Stripe's `created` has no finer grain and ids say
 * nothing, but an update says what it replaced. Each part of a subscription (status, end, pause, …) is followed by itself:
 * the changes of a second form a walk from value to value, and the value at its end is the one that was entered once more
 * than it was left. Where every value was left as often as entered, the part is what it was before that second.
 */
import type { Instant, PreviousAttributes, SubscriptionItem, SubscriptionSnapshot } from "../../facts.ts"
import type { SameSecondChanges, SubscriptionState } from "../../state.ts"

/** Fields that change together. */
export const FIELD_GROUPS = [
  ["status"],
  ["cancelAt", "endBy"],
  ["paused", "pauseEndsAt"],
  ["currentPeriodEnd"],
  ["trialEnd"],
  ["items"],
] as const satisfies readonly (readonly (keyof PreviousAttributes)[])[]

type Part = (typeof FIELD_GROUPS)[number]
type Change = SameSecondChanges["changes"][number]

/** More changes of one subscription within a second are not followed. */
const CHANGES_MAX = 20

export interface ResolvedSecond {
  readonly snapshot: SubscriptionSnapshot
  readonly second: SameSecondChanges | undefined
  /** Snapshots of this second contradict each other, and nothing says which is the later. */
  readonly isUnsettled: boolean
}

/** What the subscription is after this snapshot, given what else was said of it in the same second. */
export function resolveSameSecond(
  previous: SubscriptionState | undefined,
  snapshot: SubscriptionSnapshot,
  replaced: PreviousAttributes | undefined,
  at: Instant,
): ResolvedSecond {
  const isSameSecond = previous?.second?.at === at
  if (replaced === undefined && !isSameSecond) return { snapshot, second: undefined, isUnsettled: false }
  const known: SameSecondChanges =
    isSameSecond && previous.second ? previous.second : { at, base: partsOf(previous), changes: [] }
  const own = replaced === undefined ? [] : changesOf(replaced, snapshot)
  // The same change told by another event is the same change.
  const news = own.filter((change) => !known.changes.some((told) => isSameChange(told, change)))
  const changes = [...known.changes, ...news].slice(-CHANGES_MAX)
  let isUnsettled = false
  let settled: SubscriptionSnapshot = snapshot
  for (const part of FIELD_GROUPS) {
    const edges = changes.filter(({ from }) => part[0] in from)
    if (edges.length === 0) {
      // Told twice in this second, differently, and by nobody as a change.
      if (isSameSecond && previous && replaced !== undefined && keyOf(part, previous) !== keyOf(part, snapshot))
        isUnsettled = true
      continue
    }
    const end = endOf(part, edges, known.base)
    if (end === null) isUnsettled = true
    else settled = withPart(settled, part, end)
  }
  return {
    snapshot: settled,
    second: replaced === undefined && changes.length === 0 ? undefined : { ...known, changes },
    isUnsettled,
  }
}

/** The parts of a subscription that an update replaced, from what it looked like before and looks like now. */
export function changedParts(before: SubscriptionSnapshot, now: SubscriptionSnapshot): PreviousAttributes {
  return Object.assign(
    {},
    ...FIELD_GROUPS.filter((part) => keyOf(part, before) !== keyOf(part, now)).map((part) => pick(before, part)),
  )
}

function changesOf(replaced: PreviousAttributes, snapshot: SubscriptionSnapshot): SameSecondChanges["changes"] {
  return FIELD_GROUPS.filter((part) => part[0] in replaced).map((part) => ({
    from: pick(replaced, part),
    to: pick(snapshot, part),
  }))
}

const isSameChange = (a: Change, b: Change): boolean =>
  FIELD_GROUPS.some((part) => part[0] in a.from && part[0] in b.from) &&
  FIELD_GROUPS.every((part) => keyOf(part, a.from) === keyOf(part, b.from) && keyOf(part, a.to) === keyOf(part, b.to))

/** Where the walk ends; null when the changes form no walk. */
function endOf(part: Part, edges: SameSecondChanges["changes"], base: PreviousAttributes): PreviousAttributes | null {
  const values = new Map<string, { readonly value: PreviousAttributes; surplus: number }>()
  const visit = (value: PreviousAttributes, surplus: number) => {
    const key = keyOf(part, value)
    const entry = values.get(key) ?? { value, surplus: 0 }
    values.set(key, { ...entry, surplus: entry.surplus + surplus })
  }
  for (const { from, to } of edges) {
    visit(from, -1)
    visit(to, 1)
  }
  const ends = [...values.values()].filter(({ surplus }) => surplus > 0)
  if (ends.length === 1) return ends[0]?.value ?? null
  return ends.length === 0 ? (values.get(keyOf(part, base))?.value ?? null) : null
}

const partsOf = (subscription: SubscriptionState | undefined): PreviousAttributes =>
  subscription === undefined ? {} : Object.assign({}, ...FIELD_GROUPS.map((part) => pick(subscription, part)))

function pick(from: PreviousAttributes, part: Part): PreviousAttributes {
  const entries = part.flatMap((field): [string, unknown][] =>
    from[field] === undefined ? [] : [[field, from[field]]],
  )
  return Object.fromEntries(entries)
}

function withPart(snapshot: SubscriptionSnapshot, part: Part, value: PreviousAttributes): SubscriptionSnapshot {
  const rest = Object.entries(snapshot).filter(([field]) => !part.some((name) => name === field))
  // The parts of a snapshot and of what an event replaced are of the same types.
  return { ...Object.fromEntries(rest), ...value } as SubscriptionSnapshot
}

/** The same text for the same value, whatever order its keys were stored in. */
const keyOf = (part: Part, value: PreviousAttributes): string =>
  JSON.stringify(part.map((field) => (field === "items" ? (value.items ?? []).map(itemKey) : (value[field] ?? null))))

const itemKey = (item: SubscriptionItem) => [
  ...[item.priceId, item.productId, item.unitAmountMinor, item.quantity],
  ...[item.interval, item.intervalCount, item.usageType],
]
