-- The hold-out of a case, as it was drawn when the case opened; null for a case that was never drawn.
ALTER TABLE recovery_cases ADD COLUMN arm text CHECK (arm IN ('treated', 'held_out'));
--> statement-breakpoint
ALTER TABLE recovery_cases ADD COLUMN holdout_percentage smallint CHECK (holdout_percentage BETWEEN 0 AND 50);
