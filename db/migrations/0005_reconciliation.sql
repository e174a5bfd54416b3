-- What providers say happened, compared with what we know: how far each comparison is, and what each one found.

-- Where the comparison of one account stands. `run` is the pass under way, null between passes; the lease keeps two
-- heartbeats from doing the same page.
CREATE TABLE reconciliation_positions (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  provider text NOT NULL,
  -- Empty: the account of the deployment's own key.
  account text COLLATE "C" NOT NULL,
  kind text NOT NULL CHECK (kind IN ('recent', 'full', 'subscriptions')),
  -- Everything before this was compared (recent), or when the last whole pass was (full, subscriptions).
  complete_until timestamptz,
  run jsonb,
  is_open boolean NOT NULL,
  stepped_at timestamptz,
  lease_owner text,
  lease_until timestamptz,
  PRIMARY KEY (company_id, provider, account, kind)
);
--> statement-breakpoint
-- One row for each pass, brought up to date by each of its steps. `details` names events, subscriptions and times.
CREATE TABLE reconciliations (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  id uuid NOT NULL,
  provider text NOT NULL,
  account text COLLATE "C" NOT NULL,
  kind text NOT NULL CHECK (kind IN ('recent', 'full', 'subscriptions')),
  started_at timestamptz NOT NULL,
  finished_at timestamptz,
  window_from timestamptz NOT NULL,
  window_until timestamptz NOT NULL,
  checked integer NOT NULL,
  missing integer NOT NULL,
  fetched integer NOT NULL,
  out_of_reach integer NOT NULL,
  differences integer NOT NULL,
  repaired integer NOT NULL,
  is_complete boolean NOT NULL,
  details jsonb NOT NULL,
  PRIMARY KEY (company_id, id)
);
--> statement-breakpoint
-- The list of reports, newest first.
CREATE INDEX reconciliations_by_age ON reconciliations (company_id, started_at DESC, id DESC);
--> statement-breakpoint
-- When the provider last showed a subscription, so that those it no longer shows can be told.
CREATE TABLE subscription_checks (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  provider text NOT NULL,
  subscription_id text COLLATE "C" NOT NULL,
  account text COLLATE "C" NOT NULL,
  checked_at timestamptz NOT NULL,
  PRIMARY KEY (company_id, provider, subscription_id)
);
--> statement-breakpoint
-- Subscriptions of ours that the provider did not show.
CREATE INDEX subscriptions_living ON subscriptions (company_id, provider, id) WHERE ended_at IS NULL;
--> statement-breakpoint
DO $$
DECLARE
  tenant_table text;
BEGIN
  FOREACH tenant_table IN ARRAY ARRAY['reconciliation_positions', 'reconciliations', 'subscription_checks'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format(
      'CREATE POLICY tenant ON %I TO churn_worker USING (company_id = app_company()) WITH CHECK (company_id = app_company())',
      tenant_table
    );
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO churn_worker', tenant_table);
  END LOOP;
END
$$;
--> statement-breakpoint
-- Reports are kept for a while only.
GRANT DELETE ON reconciliations TO churn_worker;
--> statement-breakpoint
CREATE POLICY system ON reconciliation_positions FOR SELECT TO churn_system USING (true);
--> statement-breakpoint
GRANT SELECT (company_id, provider, account, kind, complete_until, is_open, stepped_at) ON reconciliation_positions TO churn_system;
--> statement-breakpoint
-- The accounts to be compared, of all companies, those first that have waited longest: the registered ones, and the one of
-- the deployment's own key (empty), which is the default company's. With each, how far its comparisons are.
CREATE FUNCTION reconciliation_targets(p_default_company text)
RETURNS TABLE (company_id text, provider text, account text, positions jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT t.company_id, t.provider, t.account, coalesce(p.positions, '[]')
  FROM (
    SELECT a.company_id, a.provider, a.account_id AS account FROM company_accounts a
    UNION ALL
    SELECT c.id, p.name, '' FROM companies c, unnest(ARRAY['stripe', 'whop']) AS p (name) WHERE c.id = p_default_company
  ) AS t
  CROSS JOIN LATERAL (
    SELECT max(r.stepped_at) AS stepped_at, jsonb_agg(jsonb_build_object(
        'kind', r.kind, 'completeUntil', r.complete_until, 'isOpen', r.is_open, 'steppedAt', r.stepped_at
      )) AS positions
    FROM reconciliation_positions r
    WHERE r.company_id = t.company_id AND r.provider = t.provider AND r.account = t.account
  ) AS p
  ORDER BY p.stepped_at NULLS FIRST, t.company_id, t.provider, t.account
$$;
--> statement-breakpoint
DO $$
BEGIN
  GRANT CREATE ON SCHEMA public TO churn_system;
  ALTER FUNCTION reconciliation_targets(text) OWNER TO churn_system;
  REVOKE CREATE ON SCHEMA public FROM churn_system;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION reconciliation_targets(text) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION reconciliation_targets(text) TO churn_worker;
