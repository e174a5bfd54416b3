-- What a company adds to a model that several companies share, in log-odds. The artefact is read by all of them and names
-- none; here a company sees its own. Artefacts of the older form keep their offsets inside until a row here replaces them.
CREATE TABLE model_offsets (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  -- The model, whoever it belongs to: the company itself, or '*'.
  sha256 text COLLATE "C" NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  log_odds double precision NOT NULL CHECK (abs(log_odds) <= 1e6),
  -- Rows of the company that it was estimated from; null: not known.
  rows integer CHECK (rows >= 0),
  -- When the trainer made it, and when and by whom it was stored.
  made_at timestamptz NOT NULL,
  stored_at timestamptz NOT NULL,
  stored_by text NOT NULL,
  PRIMARY KEY (company_id, sha256)
);
--> statement-breakpoint
ALTER TABLE model_offsets ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE model_offsets FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY tenant ON model_offsets TO churn_worker
  USING (company_id = app_company()) WITH CHECK (company_id = app_company());
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON model_offsets TO churn_worker;
