-- A company's own access to providers and channels, at most one of each kind. `sealed` has everything that is secret; `shown`
-- what may be seen: an account, a sender, the last characters of a key.
CREATE TABLE company_credentials (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  kind text NOT NULL CHECK (kind IN ('stripe', 'whop', 'sendgrid', 'twilio', 'slack', 'link-domain')),
  sealed bytea NOT NULL,
  shown jsonb NOT NULL,
  -- How the last check at the remote service ended; null: it cannot be checked.
  check_result text,
  checked_at timestamptz,
  created_at timestamptz NOT NULL,
  created_by text NOT NULL,
  PRIMARY KEY (company_id, kind)
);
--> statement-breakpoint
ALTER TABLE company_credentials ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE company_credentials FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY tenant ON company_credentials TO churn_worker
  USING (company_id = app_company()) WITH CHECK (company_id = app_company());
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE ON company_credentials TO churn_worker;
--> statement-breakpoint
-- Which companies have an account of their own to reconcile; nothing of what it is.
CREATE POLICY system ON company_credentials FOR SELECT TO churn_system USING (true);
--> statement-breakpoint
GRANT SELECT (company_id, kind) ON company_credentials TO churn_system;
--> statement-breakpoint
-- Which of the deployment's own credentials a company may use where it has none: all of them, until an operator says less.
ALTER TABLE companies ADD COLUMN shared_kinds text[] NOT NULL DEFAULT '{stripe,whop,sendgrid,twilio,slack}'
  CHECK (shared_kinds <@ '{stripe,whop,sendgrid,twilio,slack}'::text[]);
--> statement-breakpoint
GRANT SELECT (shared_kinds) ON companies TO churn_system;
--> statement-breakpoint
GRANT UPDATE (shared_kinds) ON companies TO churn_registry;
