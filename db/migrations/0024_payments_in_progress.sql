-- What a case shows of its bill: what remains to be paid after a part was, whether it is a subscription's and who collects it,
-- and a payment of it that is in progress. All null in rows of before: nothing is known to differ.
ALTER TABLE recovery_cases ADD COLUMN remaining_minor bigint;
--> statement-breakpoint
ALTER TABLE recovery_cases ADD COLUMN billing text CHECK (billing IN ('one_off'));
--> statement-breakpoint
ALTER TABLE recovery_cases ADD COLUMN collection text CHECK (collection IN ('manual'));
--> statement-breakpoint
ALTER TABLE recovery_cases ADD COLUMN payment_pending_since timestamptz;
--> statement-breakpoint
ALTER TABLE recovery_cases ADD COLUMN payment_pending_until timestamptz;
