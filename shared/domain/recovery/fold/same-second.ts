/**
 * The order of snapshots of one subscription with the same second. Stripe's `created` has a resolution of one second and
 * ids have no order, but an update states the previous attributes. Each group of fields (status, end, pause, …) is followed
 * separately: the changes of a second form a chain from value to value, and its last value is the one that changes lead to
 * once more often than away from. If there is no such value, the group is what it was before that second.
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

type FieldGroup = (typeof FIELD_GROUPS)[number]
type Change = SameSecondChanges["changes"][number]

/** The changes of one subscription within a second that are followed; older ones are dropped. */
const CHANGES_MAX = 20

export interface ResolvedSecond {
  readonly snapshot: SubscriptionSnapshot
  readonly second: SameSecondChanges | undefined
  /** Snapshots of this second contradict each other, and their order is unknown. */
  readonly isUnsettled: boolean
}

/** The subscription after this snapshot, given the other snapshots of the same second. */
export function resolveSameSecond(
  previous: SubscriptionState | undefined,
  snapshot: SubscriptionSnapshot,
  replaced: PreviousAttributes | undefined,
  at: Instant,
): ResolvedSecond {
  const isSameSecond = previous?.second?.at === at
  if (replaced === undefined && !isSameSecond) return { snapshot, second: undefined, isUnsettled: false }
  const known: SameSecondChanges =
    isSameSecond && previous.second ? previous.second : { at, base: groupsOf(previous), changes: [] }
  const own = replaced === undefined ? [] : changesOf(replaced, snapshot)
  // Another event may report the same change.
  const added = own.filter((change) => !known.changes.some((other) => isSameChange(other, change)))
  const changes = [...known.changes, ...added].slice(-CHANGES_MAX)
  let isUnsettled = false
  let resolved: SubscriptionSnapshot = snapshot
  for (const group of FIELD_GROUPS) {
    const edges = changes.filter(({ from }) => group[0] in from)
    if (edges.length === 0) {
      // Two snapshots of this second differ, and no event reports the change.
      if (isSameSecond && previous && replaced !== undefined && keyOf(group, previous) !== keyOf(group, snapshot))
        isUnsettled = true
      continue
    }
    const end = endOf(group, edges, known.base)
    if (end === null) isUnsettled = true
    else resolved = withGroup(resolved, group, end)
  }
  return {
    snapshot: resolved,
    second: replaced === undefined && changes.length === 0 ? undefined : { ...known, changes },
    isUnsettled,
  }
}

/** The previous attributes of a change from `before` to `now`. */
export function changedParts(before: SubscriptionSnapshot, now: SubscriptionSnapshot): PreviousAttributes {
  return Object.assign(
    {},
    ...FIELD_GROUPS.filter((group) => keyOf(group, before) !== keyOf(group, now)).map((group) => pick(before, group)),
  )
}

function changesOf(replaced: PreviousAttributes, snapshot: SubscriptionSnapshot): SameSecondChanges["changes"] {
  return FIELD_GROUPS.filter((group) => group[0] in replaced).map((group) => ({
    from: pick(replaced, group),
    to: pick(snapshot, group),
  }))
}

const isSameChange = (a: Change, b: Change): boolean =>
  FIELD_GROUPS.some((group) => group[0] in a.from && group[0] in b.from) &&
  FIELD_GROUPS.every(
    (group) => keyOf(group, a.from) === keyOf(group, b.from) && keyOf(group, a.to) === keyOf(group, b.to),
  )

/** The last value of the chain; null when the changes form no chain. */
function endOf(
  group: FieldGroup,
  edges: SameSecondChanges["changes"],
  base: PreviousAttributes,
): PreviousAttributes | null {
  const values = new Map<string, { readonly value: PreviousAttributes; surplus: number }>()
  const visit = (value: PreviousAttributes, surplus: number) => {
    const key = keyOf(group, value)
    const entry = values.get(key) ?? { value, surplus: 0 }
    values.set(key, { ...entry, surplus: entry.surplus + surplus })
  }
  for (const { from, to } of edges) {
    visit(from, -1)
    visit(to, 1)
  }
  const ends = [...values.values()].filter(({ surplus }) => surplus > 0)
  if (ends.length === 1) return ends[0]?.value ?? null
  return ends.length === 0 ? (values.get(keyOf(group, base))?.value ?? null) : null
}

const groupsOf = (subscription: SubscriptionState | undefined): PreviousAttributes =>
  subscription === undefined ? {} : Object.assign({}, ...FIELD_GROUPS.map((group) => pick(subscription, group)))

function pick(from: PreviousAttributes, group: FieldGroup): PreviousAttributes {
  const entries = group.flatMap((field): [string, unknown][] =>
    from[field] === undefined ? [] : [[field, from[field]]],
  )
  return Object.fromEntries(entries)
}

function withGroup(snapshot: SubscriptionSnapshot, group: FieldGroup, value: PreviousAttributes): SubscriptionSnapshot {
  const rest = Object.entries(snapshot).filter(([field]) => !group.some((name) => name === field))
  // The fields of a snapshot and of previous attributes have the same types.
  return { ...Object.fromEntries(rest), ...value } as SubscriptionSnapshot
}

/** The same text for the same value, for any order of its keys. */
const keyOf = (group: FieldGroup, value: PreviousAttributes): string =>
  JSON.stringify(group.map((field) => (field === "items" ? (value.items ?? []).map(itemKey) : (value[field] ?? null))))

const itemKey = (item: SubscriptionItem) => [
  ...[item.priceId, item.productId, item.unitAmountMinor, item.quantity],
  ...[item.interval, item.intervalCount, item.usageType],
]
