-- Models, which of them serves, and what they said. A model belongs to a company or, under the company '*' (an id that no
-- company can have), to all of them: everybody reads those, and only a transaction that entered '*' writes them.
CREATE TABLE models (
  company_id text COLLATE "C" NOT NULL,
  -- Sha-256 of the artefact's bytes: its address, and how it is known to be what it was.
  sha256 text COLLATE "C" NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  -- A name for people, once for good.
  version text COLLATE "C" NOT NULL CHECK (version ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
  kind text NOT NULL,
  feature_hash text NOT NULL,
  data_hash text NOT NULL,
  -- The JSON document exactly as it came, so that its sha-256 can be checked again; jsonb would write it anew.
  artefact text NOT NULL,
  bytes integer NOT NULL,
  -- Its figures without what is large: window, rows, events, label, metrics, notes.
  training jsonb NOT NULL,
  state text NOT NULL CHECK (state IN ('candidate', 'shadow', 'champion', 'retired')),
  state_changed_at timestamptz NOT NULL,
  -- When it was last found to be corrupt or of another schema, instead of serving, and why.
  refused_at timestamptz,
  refused_reason text,
  created_at timestamptz NOT NULL,
  created_by text NOT NULL,
  PRIMARY KEY (company_id, sha256)
);
--> statement-breakpoint
CREATE UNIQUE INDEX models_by_version ON models (company_id, version);
--> statement-breakpoint
-- Whatever the code believes, a company has one champion.
CREATE UNIQUE INDEX models_one_champion ON models (company_id) WHERE state = 'champion';
--> statement-breakpoint
-- The list of models, newest first.
CREATE INDEX models_by_age ON models (company_id, created_at DESC, sha256 DESC);
--> statement-breakpoint
-- Which model serves a company, and which one did before: the one to go back to.
CREATE TABLE model_champions (
  company_id text COLLATE "C" PRIMARY KEY,
  champion text COLLATE "C",
  previous text COLLATE "C",
  changed_at timestamptz NOT NULL,
  FOREIGN KEY (company_id, champion) REFERENCES models (company_id, sha256),
  FOREIGN KEY (company_id, previous) REFERENCES models (company_id, sha256)
);
--> statement-breakpoint
-- Who did what to a model, and why. Only ever appended to.
CREATE TABLE model_changes (
  company_id text COLLATE "C" NOT NULL,
  id uuid NOT NULL,
  sha256 text COLLATE "C" NOT NULL,
  action text NOT NULL CHECK (action IN ('uploaded', 'shadowed', 'promoted', 'retired', 'rolled_back', 'returned')),
  champion_before text,
  champion_after text,
  -- The report on the quality gates that a promotion passed or was forced past.
  gates jsonb,
  who text NOT NULL,
  why text,
  at timestamptz NOT NULL,
  PRIMARY KEY (company_id, id)
);
--> statement-breakpoint
-- The changes of one model, newest first.
CREATE INDEX model_changes_by_age ON model_changes (company_id, sha256, at DESC, id DESC);
--> statement-breakpoint
-- What was said of whom, when, from which inputs and why: only ever appended to, and dropped by the month. No name, no
-- address; the inputs are counts, days and amounts.
CREATE TABLE predictions (
  company_id text COLLATE "C" NOT NULL,
  id uuid NOT NULL,
  customer_id text COLLATE "C" NOT NULL,
  -- What was known at this moment is what the inputs were made of.
  as_of timestamptz NOT NULL,
  source text NOT NULL CHECK (source IN ('model', 'rules')),
  -- Null for rules.
  model_sha256 text COLLATE "C",
  model_version text NOT NULL,
  -- A shadow's word is only kept to be compared.
  is_shadow boolean NOT NULL,
  trigger text NOT NULL CHECK (trigger IN ('event', 'nightly', 'request')),
  probability double precision NOT NULL,
  low double precision NOT NULL,
  high double precision NOT NULL,
  log_odds double precision NOT NULL,
  coverage double precision NOT NULL,
  confidence double precision NOT NULL,
  -- Why the probability is not to be shown; null: it may be.
  not_scored text,
  -- {"base", "reasons": [{"code", "logOdds"}]}; null for shadows.
  parts jsonb,
  vector jsonb NOT NULL,
  vector_hash text NOT NULL,
  took_ms integer NOT NULL,
  PRIMARY KEY (company_id, id, as_of)
) PARTITION BY RANGE (as_of);
--> statement-breakpoint
-- The scores of one customer, newest first.
CREATE INDEX predictions_by_customer ON predictions (company_id, customer_id, as_of DESC, id DESC);
--> statement-breakpoint
-- What one model said lately: how fast it is, how its scores are spread, how it compares.
CREATE INDEX predictions_by_model ON predictions (company_id, model_sha256, as_of DESC);
--> statement-breakpoint
CREATE TABLE predictions_default PARTITION OF predictions DEFAULT;
--> statement-breakpoint
-- The latest score of each customer.
CREATE TABLE customer_scores (
  company_id text COLLATE "C" NOT NULL,
  customer_id text COLLATE "C" NOT NULL,
  prediction_id uuid NOT NULL,
  as_of timestamptz NOT NULL,
  source text NOT NULL,
  model_sha256 text COLLATE "C",
  model_version text NOT NULL,
  probability double precision NOT NULL,
  low double precision NOT NULL,
  high double precision NOT NULL,
  log_odds double precision NOT NULL,
  base_rate double precision NOT NULL,
  risk_level text NOT NULL CHECK (risk_level IN ('low', 'medium', 'high', 'critical')),
  coverage double precision NOT NULL,
  confidence double precision NOT NULL,
  not_scored text,
  parts jsonb NOT NULL,
  -- How it differs from the score before it, reason by reason; null: it is the first.
  change jsonb,
  PRIMARY KEY (company_id, customer_id),
  FOREIGN KEY (company_id, customer_id) REFERENCES customers (company_id, id)
);
--> statement-breakpoint
-- Who is about to leave, the likeliest first.
CREATE INDEX customer_scores_by_risk ON customer_scores (company_id, probability DESC, customer_id)
  WHERE not_scored IS NULL;
--> statement-breakpoint
-- How far each night's scoring of all customers has come: after this customer of this company. Names no tenant's data.
CREATE TABLE rescore_passes (
  night date PRIMARY KEY,
  after_company text COLLATE "C" NOT NULL DEFAULT '',
  after_customer text COLLATE "C" NOT NULL DEFAULT '',
  scored integer NOT NULL DEFAULT 0,
  not_scored integer NOT NULL DEFAULT 0,
  failed integer NOT NULL DEFAULT 0,
  started_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  finished_at timestamptz
);
--> statement-breakpoint
DO $$
DECLARE
  tenant_table text;
BEGIN
  FOREACH tenant_table IN ARRAY ARRAY[
    'models', 'model_champions', 'model_changes', 'predictions', 'predictions_default', 'customer_scores'
  ] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
    CONTINUE WHEN tenant_table = 'predictions_default';
    EXECUTE format(
      'CREATE POLICY tenant ON %I TO churn_worker USING (company_id = app_company()) WITH CHECK (company_id = app_company())',
      tenant_table
    );
    EXECUTE format('GRANT SELECT, INSERT ON %I TO churn_worker', tenant_table);
  END LOOP;
  -- Whoever has entered a company reads what is for all companies too.
  FOREACH tenant_table IN ARRAY ARRAY['models', 'model_champions', 'model_changes'] LOOP
    EXECUTE format(
      'CREATE POLICY shared ON %I FOR SELECT TO churn_worker USING (company_id = ''*'' AND app_company() <> '''')',
      tenant_table
    );
  END LOOP;
END
$$;
--> statement-breakpoint
-- An artefact never changes; what it is used as does.
GRANT UPDATE (state, state_changed_at, refused_at, refused_reason) ON models TO churn_worker;
--> statement-breakpoint
GRANT UPDATE ON model_champions, customer_scores TO churn_worker;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON rescore_passes TO churn_worker;
--> statement-breakpoint
-- Makes a model of the entered company its champion, as one transaction with the audit of it, and says
-- {"outcome": "changed" | "unchanged" | "not_found", "before", "after"}.
CREATE FUNCTION promote_model(p_sha256 text, p_change_id uuid, p_gates jsonb, p_who text, p_why text, p_now timestamptz)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_company text := app_company();
  v_before text;
BEGIN
  INSERT INTO model_champions (company_id, changed_at) VALUES (v_company, p_now) ON CONFLICT DO NOTHING;
  SELECT c.champion INTO v_before FROM model_champions c WHERE c.company_id = v_company FOR UPDATE;
  IF NOT EXISTS (SELECT FROM models m WHERE m.company_id = v_company AND m.sha256 = p_sha256) THEN
    RETURN jsonb_build_object('outcome', 'not_found');
  END IF;
  IF v_before = p_sha256 THEN
    RETURN jsonb_build_object('outcome', 'unchanged', 'before', v_before, 'after', v_before);
  END IF;
  UPDATE models m SET state = 'retired', state_changed_at = p_now WHERE m.company_id = v_company AND m.state = 'champion';
  UPDATE models m SET state = 'champion', state_changed_at = p_now, refused_at = NULL, refused_reason = NULL
    WHERE m.company_id = v_company AND m.sha256 = p_sha256;
  UPDATE model_champions c SET champion = p_sha256, previous = v_before, changed_at = p_now WHERE c.company_id = v_company;
  INSERT INTO model_changes (company_id, id, sha256, action, champion_before, champion_after, gates, who, why, at)
    VALUES (v_company, p_change_id, p_sha256, 'promoted', v_before, p_sha256, p_gates, p_who, p_why, p_now);
  RETURN jsonb_build_object('outcome', 'changed', 'before', v_before, 'after', p_sha256);
END
$$;
--> statement-breakpoint
-- Goes back to the champion before this one, as one transaction with the audit of it. The one to go back to after that is
-- the one that served when that champion was promoted. `p_expected`: the champion that is to be left; null: whichever it is.
CREATE FUNCTION return_champion(
  p_expected text, p_action text, p_change_id uuid, p_who text, p_why text, p_now timestamptz
)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_company text := app_company();
  v_now model_champions;
  v_earlier text;
BEGIN
  SELECT * INTO v_now FROM model_champions c WHERE c.company_id = v_company FOR UPDATE;
  IF v_now.champion IS NULL OR v_now.previous IS NULL THEN
    RETURN jsonb_build_object('outcome', 'nothing_before');
  END IF;
  IF p_expected IS NOT NULL AND p_expected <> v_now.champion THEN
    RETURN jsonb_build_object('outcome', 'moved_on', 'before', v_now.champion);
  END IF;
  SELECT h.champion_before INTO v_earlier FROM model_changes h
    WHERE h.company_id = v_company AND h.sha256 = v_now.previous AND h.action = 'promoted'
    ORDER BY h.at DESC, h.id DESC LIMIT 1;
  IF v_earlier = v_now.champion THEN v_earlier := NULL; END IF;
  UPDATE models m SET state = 'retired', state_changed_at = p_now
    WHERE m.company_id = v_company AND m.sha256 = v_now.champion;
  UPDATE models m SET state = 'champion', state_changed_at = p_now
    WHERE m.company_id = v_company AND m.sha256 = v_now.previous;
  UPDATE model_champions c SET champion = v_now.previous, previous = v_earlier, changed_at = p_now
    WHERE c.company_id = v_company;
  INSERT INTO model_changes (company_id, id, sha256, action, champion_before, champion_after, who, why, at)
    VALUES (v_company, p_change_id, v_now.champion, p_action, v_now.champion, v_now.previous, p_who, p_why, p_now);
  RETURN jsonb_build_object('outcome', 'changed', 'before', v_now.champion, 'after', v_now.previous);
END
$$;
--> statement-breakpoint
-- Sets a model of the entered company to shadow or retired, as one transaction with the audit of it. A champion that is
-- retired leaves no champion of the company's own.
CREATE FUNCTION set_model_state(
  p_sha256 text, p_state text, p_shadows_max integer, p_change_id uuid, p_who text, p_why text, p_now timestamptz
)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_company text := app_company();
  v_before text;
  v_state text;
  v_after text;
BEGIN
  INSERT INTO model_champions (company_id, changed_at) VALUES (v_company, p_now) ON CONFLICT DO NOTHING;
  SELECT c.champion INTO v_before FROM model_champions c WHERE c.company_id = v_company FOR UPDATE;
  SELECT m.state INTO v_state FROM models m WHERE m.company_id = v_company AND m.sha256 = p_sha256;
  IF NOT FOUND THEN RETURN jsonb_build_object('outcome', 'not_found'); END IF;
  IF v_state = p_state THEN RETURN jsonb_build_object('outcome', 'unchanged', 'before', v_before, 'after', v_before); END IF;
  IF p_state = 'shadow' THEN
    IF v_state = 'champion' THEN RETURN jsonb_build_object('outcome', 'is_champion'); END IF;
    IF (SELECT count(*) FROM models m WHERE m.company_id = v_company AND m.state = 'shadow') >= p_shadows_max THEN
      RETURN jsonb_build_object('outcome', 'too_many_shadows');
    END IF;
  END IF;
  v_after := v_before;
  IF v_state = 'champion' THEN
    v_after := NULL;
    UPDATE model_champions c SET champion = NULL, previous = NULL, changed_at = p_now WHERE c.company_id = v_company;
  END IF;
  UPDATE models m SET state = p_state, state_changed_at = p_now WHERE m.company_id = v_company AND m.sha256 = p_sha256;
  INSERT INTO model_changes (company_id, id, sha256, action, champion_before, champion_after, who, why, at)
    VALUES (
      v_company, p_change_id, p_sha256, CASE p_state WHEN 'shadow' THEN 'shadowed' ELSE 'retired' END,
      v_before, v_after, p_who, p_why, p_now
    );
  RETURN jsonb_build_object('outcome', 'changed', 'before', v_before, 'after', v_after);
END
$$;
--> statement-breakpoint
CREATE POLICY system ON subscriptions FOR SELECT TO churn_system USING (true);
--> statement-breakpoint
CREATE POLICY system ON models FOR SELECT TO churn_system USING (true);
--> statement-breakpoint
CREATE POLICY system ON customer_scores FOR SELECT TO churn_system USING (true);
--> statement-breakpoint
GRANT SELECT (company_id, customer_id, not_scored) ON customer_scores TO churn_system;
--> statement-breakpoint
GRANT SELECT (company_id, customer_id, status) ON subscriptions TO churn_system;
--> statement-breakpoint
GRANT SELECT (company_id, sha256, version, state, refused_at) ON models TO churn_system;
--> statement-breakpoint
GRANT SELECT ON rescore_passes TO churn_system;
--> statement-breakpoint
-- The next customers who have something to leave, or whose last score says that they had, in the order of the primary
-- keys: of `p_companies` only, unless that is null.
CREATE FUNCTION customers_to_score(p_after_company text, p_after_customer text, p_limit integer, p_companies text[])
RETURNS TABLE (company_id text, customer_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT n.company_id, n.customer_id FROM (
    (
      SELECT s.company_id, s.customer_id FROM subscriptions s
      WHERE (s.company_id, s.customer_id) > (p_after_company COLLATE "C", p_after_customer COLLATE "C")
        AND s.status IN ('active', 'past_due')
        AND (p_companies IS NULL OR s.company_id = ANY (p_companies))
      GROUP BY s.company_id, s.customer_id ORDER BY s.company_id, s.customer_id LIMIT p_limit
    )
    UNION
    (
      SELECT s.company_id, s.customer_id FROM customer_scores s
      WHERE (s.company_id, s.customer_id) > (p_after_company COLLATE "C", p_after_customer COLLATE "C")
        AND s.not_scored IS DISTINCT FROM 'no_paid_access'
        AND (p_companies IS NULL OR s.company_id = ANY (p_companies))
      ORDER BY s.company_id, s.customer_id LIMIT p_limit
    )
  ) AS n ORDER BY n.company_id, n.customer_id LIMIT p_limit
$$;
--> statement-breakpoint
-- What monitors ask of scoring, over all companies: champions, those of them that were refused and not put right, the
-- version that is shared by all, and the last night's pass.
CREATE FUNCTION scoring_in_hand(p_pin text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT jsonb_build_object(
    'champions', (SELECT count(*) FROM models WHERE state = 'champion'),
    'refused', (SELECT count(*) FROM models WHERE state = 'champion' AND refused_at IS NOT NULL),
    'shared', (SELECT max(version) FROM models WHERE state = 'champion' AND company_id = '*'),
    'isPinThere', p_pin IS NULL OR EXISTS (SELECT FROM models WHERE p_pin IN (version, sha256)),
    'pass', (SELECT to_jsonb(r) - 'after_company' - 'after_customer' FROM rescore_passes r ORDER BY night DESC LIMIT 1)
  )
$$;
--> statement-breakpoint
-- As before, for every table that is partitioned by time.
CREATE OR REPLACE FUNCTION ensure_partitions(p_now timestamptz, p_months_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
  v_table text;
  v_name text;
  v_from date;
  v_made integer := 0;
BEGIN
  -- Both heartbeats of the scheduler call this in the same second; the second finds everything made.
  PERFORM pg_advisory_xact_lock(hashtextextended('ensure_partitions', 0));
  FOR v_table IN
    SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'p' ORDER BY 1
  LOOP
    FOR v_offset IN 0..least(p_months_ahead, 24) LOOP
      v_from := (date_trunc('month', p_now AT TIME ZONE 'UTC') + make_interval(months => v_offset))::date;
      v_name := v_table || to_char(v_from, '_YYYY_MM');
      CONTINUE WHEN to_regclass(format('public.%I', v_name)) IS NOT NULL;
      BEGIN
        EXECUTE format(
          'CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%L) TO (%L)',
          v_name, v_table, v_from::text || ' 00:00+00', (v_from + interval '1 month')::date::text || ' 00:00+00'
        );
        EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', v_name);
        EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', v_name);
        v_made := v_made + 1;
      EXCEPTION WHEN check_violation THEN
        -- The default partition holds rows of that month already; they stay where they are.
        NULL;
      END;
    END LOOP;
  END LOOP;
  RETURN v_made;
END
$$;
--> statement-breakpoint
SELECT ensure_partitions(now(), 2);
--> statement-breakpoint
DO $$
BEGIN
  GRANT CREATE ON SCHEMA public TO churn_system;
  ALTER FUNCTION customers_to_score(text, text, integer, text[]) OWNER TO churn_system;
  ALTER FUNCTION scoring_in_hand(text) OWNER TO churn_system;
  REVOKE CREATE ON SCHEMA public FROM churn_system;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION
  customers_to_score(text, text, integer, text[]), scoring_in_hand(text),
  promote_model(text, uuid, jsonb, text, text, timestamptz),
  return_champion(text, text, uuid, text, text, timestamptz),
  set_model_state(text, text, integer, uuid, text, text, timestamptz)
FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION
  customers_to_score(text, text, integer, text[]), scoring_in_hand(text),
  promote_model(text, uuid, jsonb, text, text, timestamptz),
  return_champion(text, text, uuid, text, text, timestamptz),
  set_model_state(text, text, integer, uuid, text, text, timestamptz)
TO churn_worker;
