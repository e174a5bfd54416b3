/** Supabase's Stripe Sync Engine. Its ES module refers to `__dirname` and cannot be loaded, so this is its other build. */
import { createRequire } from "node:module"
import type * as SyncEngine from "@supabase/stripe-sync-engine"

export const { StripeSync, runMigrations } = createRequire(import.meta.url)(
  "@supabase/stripe-sync-engine",
) as typeof SyncEngine
