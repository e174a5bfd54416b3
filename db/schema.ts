/**
 * The tables for the code. The database is defined by `db/migrations`, since drizzle cannot express partitions,
 * row-level security and functions; a test compares both.
 */

export * from "./schema/access.ts"
export * from "./schema/branding.ts"
export * from "./schema/brands.ts"
export * from "./schema/customers.ts"
export * from "./schema/interventions.ts"
export * from "./schema/milestones.ts"
export * from "./schema/monitoring.ts"
export * from "./schema/platform.ts"
export * from "./schema/reconcile.ts"
export * from "./schema/recovery.ts"
export * from "./schema/scoring.ts"
export * from "./schema/templates.ts"
export * from "./schema/views.ts"
export * from "./schema/webhooks.ts"
