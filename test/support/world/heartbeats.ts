/** The jobs whose heartbeats run in every flow, whenever the clock is moved: nudges, links and retries need them. */
export const HEARTBEATS: readonly string[] = ["sweep", "reminders"]
