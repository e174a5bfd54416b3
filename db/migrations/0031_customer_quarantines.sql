-- Customers with more than a limit allows, and until when they get no messages. A row stays when its time is over, and begins
-- anew with the next excess.
CREATE TABLE customer_quarantines (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  customer_id text COLLATE "C" NOT NULL,
  reason text NOT NULL CHECK (reason IN ('customer_flood', 'too_many_links', 'state_is_full')),
  since timestamptz NOT NULL,
  ends_at timestamptz NOT NULL,
  -- When the team was told; null: not yet.
  announced_at timestamptz,
  PRIMARY KEY (company_id, customer_id)
);
--> statement-breakpoint
-- Those to be told of.
CREATE INDEX customer_quarantines_unannounced ON customer_quarantines (since) WHERE announced_at IS NULL;
--> statement-breakpoint
-- How many there are now.
CREATE INDEX customer_quarantines_by_end ON customer_quarantines (ends_at);
--> statement-breakpoint
ALTER TABLE customer_quarantines ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE customer_quarantines FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY tenant ON customer_quarantines TO churn_worker
  USING (company_id = app_company()) WITH CHECK (company_id = app_company());
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON customer_quarantines TO churn_worker;
--> statement-breakpoint
CREATE POLICY system ON customer_quarantines FOR SELECT TO churn_system USING (true);
--> statement-breakpoint
GRANT SELECT ON customer_quarantines TO churn_system;
--> statement-breakpoint
-- How many objects a customer has: a further one is refused beyond the limit.
CREATE INDEX object_links_of_customer ON object_links (company_id, provider, root_id) WHERE is_customer;
