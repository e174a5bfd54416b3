-- The hold-out of a case, as it was drawn when the case opened; null for a case that was never drawn.
ALTER TABLE recovery_cases ADD COLUMN arm text CHECK (arm IN ('treated', 'held_out'));
--> statement-breakpoint
ALTER TABLE recovery_cases ADD COLUMN holdout_percentage smallint CHECK (holdout_percentage BETWEEN 0 AND 50);
--> statement-breakpoint
-- Customers who have something in common, as a company says it.
CREATE TABLE segments (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  id text COLLATE "C" NOT NULL,
  name text NOT NULL,
  rule jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  created_by text NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (company_id, id)
);
--> statement-breakpoint
CREATE UNIQUE INDEX segments_by_name ON segments (company_id, lower(name));
--> statement-breakpoint
-- The list of segments, newest first.
CREATE INDEX segments_by_age ON segments (company_id, created_at DESC, id DESC);
--> statement-breakpoint
ALTER TABLE segments ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE segments FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY tenant ON segments TO churn_worker
  USING (company_id = app_company()) WITH CHECK (company_id = app_company());
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE ON segments TO churn_worker;
