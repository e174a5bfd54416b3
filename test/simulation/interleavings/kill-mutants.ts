/** Mutants that the interleavings must kill. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { build } from "esbuild"
import { ROOT } from "../../steps.ts"
import { patchedFunctions } from "../mutants/mutants.ts"
import { type Patch, patched } from "../world/bundle.ts"
import { exploreAllSchedules, type RaceModule, ScheduleRunner } from "./explore.ts"
import { RACES } from "./races.ts"

export interface RaceMutant {
  readonly guard: string
  readonly code?: readonly Patch[]
  readonly functions?: readonly Patch[]
  /** The race that needs the guard. */
  readonly race: string
}

const CHECKED: Patch = {
  file: "workers/recovery/advance.ts",
  find: "if (missing.length === 0) return { ...complete, isReread: false }",
  replace: "return { ...complete, isReread: false }",
}

const KNOWN = "two deliveries about what is known"

export const RACE_MUTANTS: readonly RaceMutant[] = [
  {
    guard: "a delivery reads the position of the snapshot and the snapshot in one statement (and checks what it read)",
    functions: [
      {
        file: "db/functions/webhooks/record_deliveries.sql",
        find: "  RETURN json_build_object(",
        replace: `  v_are_whole := ARRAY(
    SELECT c.is_whole OR has_late_facts(
      c.id, jsonb_build_array(jsonb_build_object('occurredAt', c.occurred_at, 'rank', c.rank, 'id', c.fact_id))
    ) FROM unnest(v_to_fold, v_are_whole, v_times, v_ranks, v_facts) WITH ORDINALITY
      AS c (id, is_whole, occurred_at, rank, fact_id, place) ORDER BY c.place
  );
  v_times := NULL;
  RETURN json_build_object(`,
      },
    ],
    code: [CHECKED],
    race: KNOWN,
  },
  {
    guard: "deliveries that share an object are serialized",
    functions: [
      {
        file: "db/functions/webhooks/place_deliveries.sql",
        find: "PERFORM pg_advisory_xact_lock(hashtextextended(v_company || '|' || k.name, 0))",
        replace: "PERFORM length(k.name)",
      },
    ],
    race: "two sets of deliveries that share their objects, in opposite order",
  },
  {
    guard: "writers of a customer meet in a version number",
    functions: [
      {
        file: "db/functions/recovery/commit_streams.sql",
        find: "AND c.version = p_versions[array_position(p_customers, c.id)]",
        replace: "",
      },
    ],
    race: KNOWN,
  },
  {
    guard: "who has read a nudge as planned marks it only while it holds the lease",
    functions: [
      {
        file: "db/functions/recovery/nudges/claim_nudges.sql",
        find: "OR v_now.lease_until > p_now AND v_now.lease_owner IS DISTINCT FROM p_dispatcher;",
        replace: ";",
      },
      {
        file: "db/functions/recovery/commit_streams.sql",
        find: "IF v_nudge.lease_owner IS DISTINCT FROM p_owners[v_place] OR v_nudge.status NOT IN ('planned', 'sending') THEN",
        replace: "IF false THEN",
      },
      {
        file: "db/functions/recovery/commit_streams.sql",
        find: "AND c.version = p_versions[array_position(p_customers, c.id)]",
        replace: "",
      },
    ],
    race: "a nudge that is sent by two",
  },
  {
    guard: "signals read where each snapshot is and the snapshot in one statement (and check what they read)",
    functions: [
      {
        file: "db/functions/webhooks/record_signals.sql",
        find: "  v_new jsonb := '[]';",
        replace: "  v_new jsonb := '[]';\n  v_late jsonb;",
      },
      {
        file: "db/functions/webhooks/record_signals.sql",
        find: "  RETURN jsonb_build_object('new', v_new,",
        replace: `  SELECT jsonb_object_agg(c.key, has_late_facts(c.key, c.value)) INTO v_late FROM jsonb_each(v_customers) AS c;
  RETURN jsonb_build_object('new', v_new,`,
      },
      {
        file: "db/functions/webhooks/record_signals.sql",
        find: "NOT has_late_facts(c.key, c.value))",
        replace: "NOT (v_late ->> c.key)::boolean)",
      },
    ],
    code: [CHECKED],
    race: "a signal of the company, and a delivery",
  },
]

export interface KilledRaceMutant {
  readonly guard: string
  /** The schedule that noticed it; null: none. */
  readonly by: string | null
  readonly violations: readonly string[]
  readonly schedules: number
}

/** The maximum of schedules for one mutant. */
const SCHEDULES_MAX = 3_000

/** Runs the schedules of its race, fewest preemptions first, until one notices the missing guard. */
export async function killRaceMutant(url: string, mutant: RaceMutant): Promise<KilledRaceMutant> {
  const race = RACES.find(({ name }) => name === mutant.race)
  if (race === undefined) throw new Error(`there is no race "${mutant.race}"`)
  const acts = mutant.code === undefined ? undefined : await actsWith(mutant.code)
  const runner = await ScheduleRunner.open(url, patchedFunctions(mutant.functions ?? []), acts)
  try {
    let schedules = 0
    for (const preemptions of [1, 2]) {
      const report = await exploreAllSchedules(runner, race, {
        ...{ preemptions, part: 0, parts: 1 },
        isEnough: (soFar) => soFar.failed.length > 0 || soFar.schedules >= SCHEDULES_MAX,
      })
      schedules += report.schedules
      const [found] = report.failed
      if (found) return { guard: mutant.guard, by: found.schedule, violations: found.violations, schedules }
    }
    return { guard: mutant.guard, by: null, violations: [], schedules }
  } finally {
    await runner.close()
  }
}

/** The acts of the races with these changes of the code, as a separate module. */
async function actsWith(patches: readonly Patch[]): Promise<RaceModule> {
  const folder = join(ROOT, ".local", "interleavings")
  const outfile = join(folder, `${process.pid}.mjs`)
  const result = await build({
    entryPoints: [join(ROOT, "test", "simulation", "interleavings", "races.ts")],
    ...{ bundle: true, format: "esm", platform: "node", packages: "external", write: false, logLevel: "silent" },
    plugins: [
      {
        name: "patches",
        setup({ onLoad }) {
          for (const file of new Set(patches.map((patch) => patch.file))) {
            const escaped = join(ROOT, file).replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")
            onLoad({ filter: new RegExp(`^${escaped}$`) }, ({ path }) => ({
              contents: patches.filter((patch) => patch.file === file).reduce(patched, readFileSync(path, "utf8")),
              loader: "ts",
            }))
          }
        },
      },
    ],
  })
  mkdirSync(folder, { recursive: true })
  try {
    writeFileSync(outfile, result.outputFiles?.[0]?.text ?? "")
    // An imported module is untyped; it is the module above.
    return (await import(`${pathToFileURL(outfile)}?${Date.now()}`)) as RaceModule
  } finally {
    rmSync(outfile, { force: true })
  }
}
