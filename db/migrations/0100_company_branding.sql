-- How a company's e-mails and members' pages look. Only ever appended to: each save is a version, and the ledger names the
-- version that a message had.
CREATE TABLE company_branding (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  version integer NOT NULL CHECK (version > 0),
  branding jsonb NOT NULL,
  -- Saved or approved by an operator.
  is_approved boolean NOT NULL,
  created_at timestamptz NOT NULL,
  created_by text NOT NULL,
  PRIMARY KEY (company_id, version)
);
--> statement-breakpoint
ALTER TABLE company_branding ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE company_branding FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY tenant ON company_branding TO churn_worker
  USING (company_id = app_company()) WITH CHECK (company_id = app_company());
--> statement-breakpoint
GRANT SELECT, INSERT ON company_branding TO churn_worker;
--> statement-breakpoint
-- Images that a company has uploaded, by the SHA-256 of their content. They are public.
CREATE TABLE company_logos (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  id text COLLATE "C" NOT NULL CHECK (id ~ '^[0-9a-f]{64}$'),
  type text NOT NULL CHECK (type IN ('image/png', 'image/jpeg')),
  width integer NOT NULL,
  height integer NOT NULL,
  content bytea NOT NULL CHECK (octet_length(content) <= 65536),
  created_at timestamptz NOT NULL,
  created_by text NOT NULL,
  PRIMARY KEY (company_id, id)
);
--> statement-breakpoint
ALTER TABLE company_logos ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE company_logos FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY tenant ON company_logos TO churn_worker
  USING (company_id = app_company()) WITH CHECK (company_id = app_company());
--> statement-breakpoint
GRANT SELECT, INSERT, DELETE ON company_logos TO churn_worker;
