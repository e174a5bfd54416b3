-- The list of nudges, the latest first; and of those of which nobody knows whether they were seen, which a person looks at.
CREATE INDEX nudges_by_due ON nudges (company_id, due_at DESC, id DESC);
--> statement-breakpoint
CREATE INDEX nudges_unknown ON nudges (company_id, due_at DESC, id DESC) WHERE status = 'unknown';
