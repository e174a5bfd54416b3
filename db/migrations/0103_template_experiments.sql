-- The comparison of a template's words with its variants that this version begins; null: none.
ALTER TABLE message_templates ADD COLUMN experiment jsonb;
--> statement-breakpoint
-- The cases of comparisons, with the variant that each was assigned to. Holds these assignments only.
CREATE INDEX facts_variants ON facts (company_id, occurred_at) WHERE kind = 'variant_assigned';
