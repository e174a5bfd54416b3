-- How models do: what came of their predictions, what was measured each day, which alarms were raised, and which
-- challengers were trained. A model is named by its sha-256; it may be one that all companies share.

-- What came of a prediction once its horizon and the grace after it have passed. Of each customer and model no two whose
-- horizons overlap, so that no loss is counted twice.
CREATE TABLE model_outcomes (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  model_sha256 text COLLATE "C" NOT NULL,
  customer_id text COLLATE "C" NOT NULL,
  as_of timestamptz NOT NULL,
  -- The prediction, whose inputs are read through it.
  prediction_id uuid NOT NULL,
  is_shadow boolean NOT NULL,
  probability double precision NOT NULL CHECK (probability >= 0 AND probability <= 1),
  -- Null: there was nothing to lose at that moment, or leaving had been announced; such a row counts nowhere.
  is_churned boolean,
  matured_at timestamptz NOT NULL,
  PRIMARY KEY (company_id, model_sha256, customer_id, as_of)
);
--> statement-breakpoint
-- The labels of one model by time: weeks of the chart, and the latest ones.
CREATE INDEX model_outcomes_by_time ON model_outcomes (company_id, model_sha256, as_of) WHERE is_churned IS NOT NULL;
--> statement-breakpoint
-- How far the predictions of a model in a company have been given their labels: up to this one, in order of time.
CREATE TABLE model_label_positions (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  model_sha256 text COLLATE "C" NOT NULL,
  as_of timestamptz NOT NULL,
  prediction_id uuid NOT NULL,
  PRIMARY KEY (company_id, model_sha256)
);
--> statement-breakpoint
-- How the inputs and scores of a company were spread when a model began to serve it: what later days are measured against.
CREATE TABLE model_references (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  model_sha256 text COLLATE "C" NOT NULL,
  taken_at timestamptz NOT NULL,
  rows integer NOT NULL,
  profile jsonb NOT NULL,
  PRIMARY KEY (company_id, model_sha256)
);
--> statement-breakpoint
-- One row a day for each company's champion.
CREATE TABLE model_checks (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  model_sha256 text COLLATE "C" NOT NULL,
  day date NOT NULL,
  checked_at timestamptz NOT NULL,
  status text NOT NULL CHECK (status IN ('pass', 'warn', 'alarm')),
  data_quality double precision,
  measures jsonb NOT NULL,
  PRIMARY KEY (company_id, model_sha256, day)
);
--> statement-breakpoint
-- The latest check of a company, and those before it.
CREATE INDEX model_checks_by_day ON model_checks (company_id, day DESC);
--> statement-breakpoint
CREATE TABLE model_alarms (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  id uuid NOT NULL,
  model_sha256 text COLLATE "C" NOT NULL,
  measure text NOT NULL,
  raised_at timestamptz NOT NULL,
  closed_at timestamptz,
  value double precision,
  alarm_limit double precision,
  -- What was done about it: `returned` to the champion before, or why not.
  action text NOT NULL,
  -- When the team was told; null while it is still to be told or nobody can be.
  announced_at timestamptz,
  PRIMARY KEY (company_id, id)
);
--> statement-breakpoint
-- However often a check finds the same, it is one alarm until it is closed.
CREATE UNIQUE INDEX model_alarms_open ON model_alarms (company_id, model_sha256, measure) WHERE closed_at IS NULL;
--> statement-breakpoint
-- The list of alarms, newest first.
CREATE INDEX model_alarms_by_age ON model_alarms (company_id, raised_at DESC, id DESC);
--> statement-breakpoint
-- Trainings of a challenger, and what its shadow has come to. `outcome` is null while one is under way.
CREATE TABLE model_retrainings (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  id uuid NOT NULL,
  started_at timestamptz NOT NULL,
  finished_at timestamptz,
  outcome text,
  method text,
  champion_sha256 text COLLATE "C",
  challenger_sha256 text COLLATE "C",
  rows integer NOT NULL DEFAULT 0,
  events integer NOT NULL DEFAULT 0,
  -- What matured labels say of the challenger: `wait`, `propose` or `reject`, with the figures.
  verdict text CHECK (verdict IN ('wait', 'propose', 'reject')),
  verdict_details jsonb,
  judged_at timestamptz,
  proposed_at timestamptz,
  PRIMARY KEY (company_id, id)
);
--> statement-breakpoint
-- The latest trainings of a company.
CREATE INDEX model_retrainings_by_age ON model_retrainings (company_id, started_at DESC, id DESC);
--> statement-breakpoint
-- Whose turn it is: when a company was last checked and last retrained for.
CREATE TABLE monitoring_positions (
  company_id text COLLATE "C" PRIMARY KEY REFERENCES companies (id),
  checked_at timestamptz,
  retrained_at timestamptz
);
--> statement-breakpoint
DO $$
DECLARE
  tenant_table text;
BEGIN
  FOREACH tenant_table IN ARRAY ARRAY[
    'model_outcomes', 'model_label_positions', 'model_references', 'model_checks', 'model_alarms', 'model_retrainings', 'monitoring_positions'
  ] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format(
      'CREATE POLICY tenant ON %I TO churn_worker USING (company_id = app_company()) WITH CHECK (company_id = app_company())',
      tenant_table
    );
    EXECUTE format('GRANT SELECT, INSERT ON %I TO churn_worker', tenant_table);
  END LOOP;
END
$$;
--> statement-breakpoint
GRANT UPDATE ON model_label_positions, model_checks, model_alarms, model_retrainings, monitoring_positions TO churn_worker;
--> statement-breakpoint
-- Checks are kept for a while only.
GRANT DELETE ON model_checks TO churn_worker;
--> statement-breakpoint
CREATE POLICY system ON monitoring_positions FOR SELECT TO churn_system USING (true);
--> statement-breakpoint
CREATE POLICY system ON model_alarms FOR SELECT TO churn_system USING (true);
--> statement-breakpoint
CREATE POLICY system ON model_retrainings FOR SELECT TO churn_system USING (true);
--> statement-breakpoint
GRANT SELECT ON monitoring_positions TO churn_system;
--> statement-breakpoint
GRANT SELECT (company_id, measure, closed_at) ON model_alarms TO churn_system;
--> statement-breakpoint
GRANT SELECT (company_id, outcome, verdict, started_at) ON model_retrainings TO churn_system;
--> statement-breakpoint
-- Companies of `p_companies` (all: null) whose turn it is, those that have waited longest first: not checked, or not
-- retrained for, since `p_before`.
CREATE FUNCTION monitoring_due(p_what text, p_before timestamptz, p_limit integer, p_companies text[])
RETURNS TABLE (company_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT c.id FROM companies c
  LEFT JOIN monitoring_positions p ON p.company_id = c.id
  CROSS JOIN LATERAL (SELECT CASE p_what WHEN 'check' THEN p.checked_at ELSE p.retrained_at END AS at) AS last
  WHERE (p_companies IS NULL OR c.id = ANY (p_companies)) AND (last.at IS NULL OR last.at < p_before)
  ORDER BY last.at NULLS FIRST, c.id LIMIT p_limit
$$;
--> statement-breakpoint
-- What monitors ask of the models, over all companies.
CREATE FUNCTION monitoring_in_hand() RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT jsonb_build_object(
    'openAlarms', (SELECT count(*) FROM model_alarms WHERE closed_at IS NULL),
    'mainAlarms', (SELECT count(*) FROM model_alarms WHERE closed_at IS NULL AND measure IN ('churn_above', 'churn_below')),
    'proposals', (SELECT count(*) FROM model_retrainings WHERE verdict = 'propose'),
    'lastCheckAt', (SELECT max(checked_at) FROM monitoring_positions),
    'lastRetrainingAt', (SELECT max(started_at) FROM model_retrainings)
  )
$$;
--> statement-breakpoint
DO $$
BEGIN
  GRANT CREATE ON SCHEMA public TO churn_system;
  ALTER FUNCTION monitoring_due(text, timestamptz, integer, text[]) OWNER TO churn_system;
  ALTER FUNCTION monitoring_in_hand() OWNER TO churn_system;
  REVOKE CREATE ON SCHEMA public FROM churn_system;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION monitoring_due(text, timestamptz, integer, text[]), monitoring_in_hand() FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION monitoring_due(text, timestamptz, integer, text[]), monitoring_in_hand() TO churn_worker;
