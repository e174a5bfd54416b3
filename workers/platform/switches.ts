/** Conditions on flags for work done for a company. */
import { companyIds } from "../../db/queries/platform/companies.ts"
import type { FlagName } from "../../shared/domain/flags.ts"
import type { Flags } from "../../shared/flags/flags.ts"
import { AppError } from "./errors.ts"
import type { Services } from "./services.ts"

/** Flags that must be on, and flags that must be off. */
export interface SwitchCondition {
  readonly on: readonly FlagName[]
  readonly off: readonly FlagName[]
}

/** Events may be folded and decided on. */
export const PROCESSING_SWITCH: SwitchCondition = { on: ["WEBHOOK_PROCESSING_ENABLED"], off: [] }
/** Messages may be sent, and incentives applied. */
export const NOTIFICATIONS_SWITCH: SwitchCondition = { on: ["NOTIFICATIONS_ENABLED"], off: ["ROLLBACK_MODE"] }
/** Scheduled jobs may look for due work. */
export const SCHEDULER_SWITCH: SwitchCondition = {
  on: ["SCHEDULER_ENABLED", ...NOTIFICATIONS_SWITCH.on],
  off: NOTIFICATIONS_SWITCH.off,
}

/** Whether it holds for this company; for a closed one nothing does. */
export const isEnabledFor = (flags: Flags, { on, off }: SwitchCondition, companyId: string): boolean =>
  on.every((name) => flags.isOn(name, companyId)) && !offOrClosed(off).some((name) => flags.isOn(name, companyId))

const offOrClosed = (off: readonly FlagName[]): readonly FlagName[] => [...off, "COMPANY_CLOSED"]

/**
 * The companies for which the condition holds: none (an empty list), all (null), or some; the database is read only
 * when a flag is on for a part of the companies.
 */
export async function enabledCompanies(
  { db }: Pick<Services, "db">,
  flags: Flags,
  condition: SwitchCondition,
): Promise<readonly string[] | null> {
  const { on } = condition
  const off = offOrClosed(condition.off)
  if (on.some((name) => flags.isOffForAll(name)) || off.some((name) => flags.isOnForAll(name))) return []
  if (on.every((name) => flags.isOnForAll(name)) && off.every((name) => flags.isOffForAll(name))) return null
  return (await companyIds(db)).filter((companyId) => isEnabledFor(flags, condition, companyId))
}

/** Throws CONFLICT while processing is off for the company: a manual request must not bypass the switch. */
export async function requireProcessingEnabled(services: Pick<Services, "flags">, companyId: string): Promise<void> {
  const isProcessing = isEnabledFor(await services.flags({ isFreshNeeded: true }), PROCESSING_SWITCH, companyId)
  if (!isProcessing) throw new AppError("CONFLICT", "Processing is switched off.", { reason: "switched_off" })
}
