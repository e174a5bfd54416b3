/** Sets switches in both stores, like the API does for an operator. */
import type { SwitchName } from "../../../shared/domain/flags.ts"
import type { World } from "./world.ts"

/** The initial value of each switch. */
export const DEFAULT_SWITCHES: Readonly<Record<SwitchName, boolean>> = {
  WEBHOOK_PROCESSING_ENABLED: true,
  SCHEDULER_ENABLED: true,
  NOTIFICATIONS_ENABLED: true,
  ROLLBACK_MODE: false,
}

/** Sets a switch for all companies, in both stores. */
export async function setSwitchEverywhere(world: World, name: SwitchName, isOn: boolean): Promise<void> {
  const revision = world.runtime.worldMs
  const flag = {
    value: { enabled: isOn, percentage: 100, allow: [], deny: [] },
    revision,
    changeId: `00000000-0000-4000-8000-${revision.toString(16).padStart(12, "0")}`,
    updatedAt: new Date(revision).toISOString(),
    updatedBy: "admin",
    reason: null,
  }
  world.redis.execute(["SET", `flag:${name}`, JSON.stringify(flag)])
  await world.database.read(
    `INSERT INTO flags (name, value, revision, change_id, updated_at, updated_by) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (name) DO UPDATE SET value = excluded.value, revision = excluded.revision, change_id = excluded.change_id,
       updated_at = excluded.updated_at, updated_by = excluded.updated_by`,
    [name, JSON.stringify(flag.value), revision, flag.changeId, flag.updatedAt, flag.updatedBy],
  )
}
