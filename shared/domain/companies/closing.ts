/**
 * What closing a company means: it gets no messages and no jobs, and its keys and sessions are refused. Its deliveries are
 * still stored for some weeks, unprocessed, so that a company that was closed by mistake loses nothing when it is opened
 * again; later ones are answered as those of an unknown company.
 */

/** Longer than a provider keeps its own events (Stripe: 30 days) is no use: reconciliation fetches those. */
export const HELD_DAYS_AFTER_CLOSING = 30

const DAY_MS = 86_400_000

/** Whether deliveries of a company are stored now; `closedAt` is null for an open one. */
export const acceptsDeliveries = (closedAt: Date | null, now: Date): boolean =>
  closedAt === null || now.getTime() < closedAt.getTime() + HELD_DAYS_AFTER_CLOSING * DAY_MS
