-- The hold-out of a case, as it was drawn when the case opened; null for a case that was never drawn.
ALTER TABLE recovery_cases ADD COLUMN arm text CHECK (arm IN ('treated', 'held_out'));
--> statement-breakpoint
ALTER TABLE recovery_cases ADD COLUMN holdout_percentage smallint CHECK (holdout_percentage BETWEEN 0 AND 50);
--> statement-breakpoint
-- Of a case of a feared leaving: the probability that opened it, and when its time is over.
ALTER TABLE recovery_cases ADD COLUMN risk_probability double precision;
--> statement-breakpoint
ALTER TABLE recovery_cases ADD COLUMN risk_until timestamptz;
--> statement-breakpoint
-- Feared leavings that are open, of all companies: what the job looks through for those that have passed.
CREATE INDEX recovery_cases_at_risk ON recovery_cases (risk_until) WHERE kind = 'at_risk' AND status = 'open';
--> statement-breakpoint
-- The open cases of a customer, and those of a feared leaving that ended lately.
CREATE INDEX recovery_cases_at_risk_by_customer ON recovery_cases (company_id, customer_id) WHERE kind = 'at_risk';
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
--> statement-breakpoint
-- When each company's customers were last looked through for who is about to leave: nobody twice an hour, the longest
-- waiting first. Names no customer.
CREATE TABLE risk_passes (
  company_id text COLLATE "C" PRIMARY KEY REFERENCES companies (id),
  passed_at timestamptz NOT NULL
);
--> statement-breakpoint
ALTER TABLE risk_passes ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE risk_passes FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY tenant ON risk_passes TO churn_worker
  USING (company_id = app_company()) WITH CHECK (company_id = app_company());
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON risk_passes TO churn_worker;
--> statement-breakpoint
CREATE POLICY system ON risk_passes FOR SELECT TO churn_system USING (true);
--> statement-breakpoint
GRANT SELECT ON risk_passes TO churn_system;
--> statement-breakpoint
CREATE POLICY system_at_risk ON recovery_cases FOR SELECT TO churn_system USING (kind = 'at_risk' AND status = 'open');
--> statement-breakpoint
GRANT SELECT (company_id, id, customer_id, kind, status, opened_at, risk_probability, risk_until) ON recovery_cases TO churn_system;
--> statement-breakpoint
CREATE POLICY system_at_risk ON customer_scores FOR SELECT TO churn_system USING (true);
--> statement-breakpoint
GRANT SELECT (company_id, customer_id, as_of, probability, not_scored) ON customer_scores TO churn_system;
--> statement-breakpoint
-- Companies whose customers were not looked through since `p_before`, of `p_companies` only unless that is null.
CREATE FUNCTION risk_companies(p_before timestamptz, p_limit integer, p_companies text[]) RETURNS TABLE (company_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT c.id FROM companies c LEFT JOIN risk_passes p ON p.company_id = c.id
  WHERE (p.passed_at IS NULL OR p.passed_at < p_before) AND (p_companies IS NULL OR c.id = ANY (p_companies))
  ORDER BY p.passed_at NULLS FIRST, c.id LIMIT p_limit
$$;
--> statement-breakpoint
-- Cases of feared leavings whose time is over, or whose customer's newest score is at most `p_fallen` of what opened them.
CREATE FUNCTION passed_risks(p_now timestamptz, p_fallen double precision, p_limit integer, p_companies text[])
RETURNS TABLE (company_id text, customer_id text, id text, probability double precision, as_of timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT r.company_id, r.customer_id, r.id, s.probability, s.as_of
  FROM recovery_cases r
    LEFT JOIN customer_scores s ON s.company_id = r.company_id AND s.customer_id = r.customer_id AND s.not_scored IS NULL
  WHERE r.kind = 'at_risk' AND r.status = 'open' AND (p_companies IS NULL OR r.company_id = ANY (p_companies))
    AND (r.risk_until <= p_now OR s.as_of > r.opened_at AND s.probability <= r.risk_probability * p_fallen)
  ORDER BY r.risk_until LIMIT p_limit
$$;
--> statement-breakpoint
DO $$
BEGIN
  GRANT CREATE ON SCHEMA public TO churn_system;
  ALTER FUNCTION risk_companies(timestamptz, integer, text[]) OWNER TO churn_system;
  ALTER FUNCTION passed_risks(timestamptz, double precision, integer, text[]) OWNER TO churn_system;
  REVOKE CREATE ON SCHEMA public FROM churn_system;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION
  risk_companies(timestamptz, integer, text[]), passed_risks(timestamptz, double precision, integer, text[])
FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION
  risk_companies(timestamptz, integer, text[]), passed_risks(timestamptz, double precision, integer, text[])
TO churn_worker;
--> statement-breakpoint
-- What was learned of whom contact keeps, one row a company: replaced by each training. `model` is null while what was
-- learned is not in force, and `report` says why. No customer is in it.
CREATE TABLE uplift_models (
  company_id text COLLATE "C" PRIMARY KEY REFERENCES companies (id),
  trained_at timestamptz NOT NULL,
  model jsonb,
  report jsonb NOT NULL
);
--> statement-breakpoint
ALTER TABLE uplift_models ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE uplift_models FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY tenant ON uplift_models TO churn_worker
  USING (company_id = app_company()) WITH CHECK (company_id = app_company());
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON uplift_models TO churn_worker;
