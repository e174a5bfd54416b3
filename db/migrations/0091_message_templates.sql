-- A company's own words for its messages. Only ever appended to: each save is a new version, of which the newest one that is
-- in force is used, and the ledger names the version that a message was written with.
CREATE TABLE message_templates (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  id uuid NOT NULL,
  version integer NOT NULL CHECK (version > 0),
  case_kind text NOT NULL,
  -- The messages that it is for; null: all.
  stage text,
  ask text,
  channel text,
  language text,
  words jsonb NOT NULL,
  -- False: switched off by this version.
  is_in_force boolean NOT NULL,
  created_at timestamptz NOT NULL,
  created_by text NOT NULL,
  PRIMARY KEY (company_id, id, version)
);
--> statement-breakpoint
ALTER TABLE message_templates ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE message_templates FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY tenant ON message_templates TO churn_worker
  USING (company_id = app_company()) WITH CHECK (company_id = app_company());
--> statement-breakpoint
GRANT SELECT, INSERT ON message_templates TO churn_worker;
