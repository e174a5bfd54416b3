/**
 * The one table of what may import what, and of where nothing may read the clock or random numbers. `check.ts` reports what
 * breaks it; `rules.test.ts` breaks each rule once and expects that to be reported.
 */

/** Code of the product: everything else in the repository exists to run, operate, measure or test it. */
const AROUND = "(local|ops|test|bench)"

/** The capabilities of the Worker, each with those that it may import. Imports between them have no cycles. */
export const CAPABILITIES: Readonly<Record<string, readonly string[]>> = {
  operations: ["webhooks", "recovery", "scoring", "interventions", "reconcile"],
  reconcile: ["webhooks", "recovery"],
  interventions: ["webhooks", "recovery", "scoring"],
  webhooks: ["recovery", "scoring"],
  recovery: ["scoring"],
  scoring: [],
  companies: [],
  dashboard: ["companies"],
  messaging: ["operations", "recovery"],
  health: [],
}

const TESTS = "\\.test\\.ts$"

/** A rule of imports: what `from` matches may import nothing that `to` matches. */
export interface ImportRule {
  readonly name: string
  readonly why: string
  readonly from: { readonly path?: string; readonly pathNot?: string }
  readonly to: { readonly path?: string; readonly pathNot?: string; readonly circular?: true }
  /** Left out, the rule is about files. */
  readonly scope?: "folder"
}

const forbid = (name: string, why: string, from: string, to: ImportRule["to"]): ImportRule => ({
  name,
  why,
  from: { path: from, pathNot: TESTS },
  to,
})

const capabilityRules = Object.entries(CAPABILITIES).map(([capability, uses]) => {
  const others = Object.keys(CAPABILITIES).filter((other) => other !== capability && !uses.includes(other))
  return forbid(
    `${capability}-imports-its-own-only`,
    `${capability} may import ${uses.join(", ") || "no other capability"}.`,
    `^workers/${capability}/`,
    { path: `^workers/(${others.join("|")}|jobs)/` },
  )
})

export const IMPORT_RULES: readonly ImportRule[] = [
  { name: "no-file-cycles", why: "Files import each other in one direction.", from: {}, to: { circular: true } },
  {
    name: "no-folder-cycles",
    why: "Folders depend on each other in one direction.",
    scope: "folder",
    from: {},
    to: { circular: true },
  },
  forbid("domain-is-pure", "The domain imports nothing but itself.", "^shared/domain/", { pathNot: "^shared/domain/" }),
  forbid("shared-is-below", "shared/ imports packages and shared/ only.", "^shared/", {
    path: `^(workers|db|${AROUND})/`,
  }),
  forbid("db-is-below", "db/ imports shared/ and its driver only.", "^db/", { path: `^(workers|${AROUND})/` }),
  forbid(
    "product-alone",
    "The product imports nothing that only operates, measures or tests it.",
    "^(workers|shared|db)/",
    {
      path: `^${AROUND}/`,
    },
  ),
  forbid("sql-in-db", "Only db/ contains SQL.", "^workers/", {
    path: "(^db/schema|node_modules/(drizzle-orm|@neondatabase)/)",
  }),
  forbid("providers-are-alone", "A provider imports shared/ and its own folder only.", "^workers/providers/", {
    path: "^(workers/(?!providers/)|db/)",
  }),
  forbid("stripe-is-not-whop", "A provider imports nothing of another one.", "^workers/providers/stripe/", {
    path: "^workers/providers/whop/",
  }),
  forbid("whop-is-not-stripe", "A provider imports nothing of another one.", "^workers/providers/whop/", {
    path: "^workers/providers/stripe/",
  }),
  forbid(
    "platform-imports-no-capability",
    "All capabilities use the platform; it imports none of them.",
    "^workers/platform/",
    {
      path: `^workers/(${Object.keys(CAPABILITIES).join("|")}|jobs)/`,
    },
  ),
  ...capabilityRules,
]

/** Code whose result depends on its arguments alone; the time and random numbers are passed in. */
export const PURE_FOLDERS: readonly string[] = ["shared/domain", "shared/scoring", "shared/learning"]

/** What reads the clock, random numbers or anything outside. */
export const IMPURE = {
  members: ["Date.now", "Math.random"],
  globals: ["performance", "fetch", "setTimeout", "setInterval", "process"],
  /** Of WebCrypto, hashing is pure. */
  cryptoMembers: ["getRandomValues", "randomUUID"],
} as const
