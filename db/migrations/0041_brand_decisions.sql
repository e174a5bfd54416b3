-- Which brand names an operator has approved for a company, or not any more: messages leave from the deployment's own sender.
-- Only ever appended to: of one name the latest decision holds, and all of them are the audit.
CREATE TABLE brand_decisions (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  id uuid NOT NULL,
  -- As shared/domain/messaging/brand.ts normalises it.
  name text COLLATE "C" NOT NULL CHECK (name <> ''),
  is_approved boolean NOT NULL,
  who text NOT NULL,
  why text NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (company_id, id)
);
--> statement-breakpoint
-- The latest decision on each name of a company.
CREATE INDEX brand_decisions_by_name ON brand_decisions (company_id, name, at DESC, id DESC);
--> statement-breakpoint
ALTER TABLE brand_decisions ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE brand_decisions FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY tenant ON brand_decisions TO churn_worker
  USING (company_id = app_company()) WITH CHECK (company_id = app_company());
--> statement-breakpoint
GRANT SELECT, INSERT ON brand_decisions TO churn_worker;
