/**
 * The one table of what may import what, and of where nothing may ask for the time or for chance. `check.ts` reports what
 * breaks it; `rules.test.ts` breaks each rule once and looks whether that is reported.
 */

/** Code of the product: everything else in the repository exists to run, operate, measure or test it. */
const AROUND = "(local|ops|test|bench)"

/** Rooms of the Worker, each with the rooms that it may use. What is used comes after its user: there is no way back. */
export const ROOMS: Readonly<Record<string, readonly string[]>> = {
  operations: ["webhooks", "recovery", "scoring", "interventions", "reconcile"],
  reconcile: ["webhooks", "recovery"],
  interventions: ["webhooks", "recovery", "scoring"],
  webhooks: ["recovery", "scoring"],
  recovery: ["scoring"],
  scoring: [],
  companies: [],
  dashboard: ["companies"],
  messaging: [],
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

const roomRules = Object.entries(ROOMS).map(([room, uses]) => {
  const others = Object.keys(ROOMS).filter((other) => other !== room && !uses.includes(other))
  return forbid(
    `${room}-uses-its-rooms-only`,
    `${room} may use ${uses.join(", ") || "no other room"}; what others need of it, they import from it.`,
    `^workers/${room}/`,
    { path: `^workers/(${others.join("|")}|jobs)/` },
  )
})

export const IMPORT_RULES: readonly ImportRule[] = [
  { name: "no-file-cycles", why: "A file is understood without itself.", from: {}, to: { circular: true } },
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
  forbid("product-alone", "What is for a laptop or a test only is no part of the product.", "^(workers|shared|db)/", {
    path: `^${AROUND}/`,
  }),
  forbid("sql-in-db", "SQL is spoken in db/ only.", "^workers/", {
    path: "(^db/schema|node_modules/(drizzle-orm|@neondatabase)/)",
  }),
  forbid("providers-are-alone", "A provider knows shared/ and the files beside it.", "^workers/providers/", {
    path: "^(workers/(?!providers/)|db/)",
  }),
  forbid("stripe-is-not-whop", "A provider knows nothing of another.", "^workers/providers/stripe/", {
    path: "^workers/providers/whop/",
  }),
  forbid("whop-is-not-stripe", "A provider knows nothing of another.", "^workers/providers/whop/", {
    path: "^workers/providers/stripe/",
  }),
  forbid("platform-knows-no-room", "What all rooms stand on depends on none of them.", "^workers/platform/", {
    path: `^workers/(${Object.keys(ROOMS).join("|")}|jobs)/`,
  }),
  ...roomRules,
]

/** Where the result depends on the arguments alone: the time and random numbers are among them. */
export const PURE_FOLDERS: readonly string[] = ["shared/domain", "shared/scoring", "shared/learning"]

/** What asks for the time, for chance, or for anything outside. */
export const IMPURE = {
  members: ["Date.now", "Math.random"],
  globals: ["performance", "fetch", "setTimeout", "setInterval", "process"],
  /** Of WebCrypto, hashing is pure. */
  cryptoMembers: ["getRandomValues", "randomUUID"],
} as const
