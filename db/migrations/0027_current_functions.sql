-- Companies that have milestones to announce, those that have waited longest first: of `p_companies` only, unless that is
-- null.
CREATE OR REPLACE FUNCTION announcing_companies(p_limit integer, p_companies text[]) RETURNS TABLE (company_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT d.company_id FROM (
    SELECT m.company_id, m.recorded_at FROM public.milestones m
    WHERE m.announcement = 'planned' AND (p_companies IS NULL OR m.company_id = ANY (p_companies)) ORDER BY m.recorded_at LIMIT p_limit
  ) AS d GROUP BY d.company_id ORDER BY min(d.recorded_at)
$$;
--> statement-breakpoint
-- Raises CS001 unless the customers who share an address with this one are as they were read, and keeps every other sender
-- to the same person waiting until the end of the transaction: of two messages decided at once, the second is decided
-- again. The locks are one for each address, taken in one order by everybody, after the customer's own row.
CREATE OR REPLACE FUNCTION assert_person(p_customer_id text, p_mark text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_lock bigint;
BEGIN
  FOR v_lock IN
    SELECT DISTINCT hashtextextended('person|' || a.company_id || '|' || a.kind || '|' || encode(a.address, 'hex'), 0)
      FROM customer_addresses a WHERE a.company_id = app_company() AND a.customer_id = p_customer_id
      ORDER BY 1
  LOOP
    PERFORM pg_advisory_xact_lock(v_lock);
  END LOOP;
  -- A statement of its own, so that it sees what was committed while this one waited.
  IF person_mark(p_customer_id) IS DISTINCT FROM p_mark THEN
    RAISE EXCEPTION 'another customer of the person has moved on' USING ERRCODE = 'CS001';
  END IF;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION assert_person(text, text) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION assert_person(text, text) TO churn_worker;
--> statement-breakpoint
-- Takes due nudges for `p_owner` until `p_until`, each by one worker at most, in the order of `due_nudges`. A nudge in
-- `sending` whose lease has run out is taken too: its worker was lost on the way. Rows are locked one by one by their key,
-- and judged again under the lock.
CREATE OR REPLACE FUNCTION claim_due_nudges(
  p_now timestamptz, p_due_before timestamptz, p_owner text, p_until timestamptz, p_limit integer, p_companies text[]
)
RETURNS TABLE (company_id text, id text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  v_taken integer := 0;
  v_next record;
  v_now record;
BEGIN
  FOR v_next IN SELECT d.company_id, d.id FROM public.due_nudges(p_now, p_due_before, p_limit, p_companies) AS d LOOP
    EXIT WHEN v_taken = p_limit;
    -- By the key alone: with more to go by, a plan could prefer an index that holds the whole flood.
    SELECT n.status, n.due_at, n.lease_until INTO v_now FROM public.nudges n
      WHERE n.company_id = v_next.company_id AND n.id = v_next.id
      FOR UPDATE SKIP LOCKED;
    CONTINUE WHEN NOT FOUND OR v_now.status NOT IN ('planned', 'sending') OR v_now.due_at > p_due_before
      OR v_now.lease_until > p_now;
    UPDATE public.nudges n SET lease_owner = p_owner, lease_until = p_until
      WHERE n.company_id = v_next.company_id AND n.id = v_next.id;
    v_taken := v_taken + 1;
    company_id := v_next.company_id;
    id := v_next.id;
    RETURN NEXT;
  END LOOP;
END
$$;
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_system TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_system;
  ALTER FUNCTION claim_due_nudges(timestamptz, timestamptz, text, timestamptz, integer, text[]) OWNER TO churn_system;
  REVOKE CREATE ON SCHEMA public FROM churn_system;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION claim_due_nudges(timestamptz, timestamptz, text, timestamptz, integer, text[]) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION claim_due_nudges(timestamptz, timestamptz, text, timestamptz, integer, text[]) TO churn_worker;
--> statement-breakpoint
-- All companies, for those who must say which of them a switch is on for.
CREATE OR REPLACE FUNCTION company_ids() RETURNS TABLE (id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT c.id FROM public.companies c
$$;
--> statement-breakpoint
-- The functions below look across tenants. They show ids and counts, and belong to a role that can see no more.

-- The company that a delivery belongs to: named in the path, else by the provider's account. Null: unknown.
CREATE OR REPLACE FUNCTION company_of(p_path text, p_provider text, p_account text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT CASE WHEN p_path IS NOT NULL
    THEN (SELECT c.id FROM public.companies c WHERE c.id = p_path)
    ELSE (SELECT a.company_id FROM public.company_accounts a WHERE a.provider = p_provider AND a.account_id = p_account)
  END
$$;
--> statement-breakpoint
-- Customers whose addresses are not indexed under this version of the key, those never indexed first.
CREATE OR REPLACE FUNCTION contacts_to_index(p_version integer, p_limit integer)
RETURNS TABLE (company_id text, customer_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT p.company_id, p.customer_id FROM public.customer_pii p
  WHERE coalesce(p.indexed_version, 0) < p_version
  ORDER BY coalesce(p.indexed_version, 0), p.company_id, p.customer_id LIMIT p_limit
$$;
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_system TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_system;
  ALTER FUNCTION contacts_to_index(integer, integer) OWNER TO churn_system;
  REVOKE CREATE ON SCHEMA public FROM churn_system;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION contacts_to_index(integer, integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION contacts_to_index(integer, integer) TO churn_worker;
--> statement-breakpoint
-- The other customers of the company who share an address with this one, with their versions.
CREATE OR REPLACE FUNCTION customers_sharing(p_customer_id text) RETURNS TABLE (customer_id text, version integer)
LANGUAGE sql STABLE AS $$
  SELECT DISTINCT c.id, c.version
    FROM customer_addresses own
    JOIN customer_addresses shared
      ON shared.company_id = own.company_id AND shared.kind = own.kind AND shared.address = own.address
    JOIN customers c ON c.company_id = shared.company_id AND c.id = shared.customer_id
    WHERE own.company_id = app_company() AND own.customer_id = p_customer_id AND shared.customer_id <> p_customer_id
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION customers_sharing(text) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION customers_sharing(text) TO churn_worker;
--> statement-breakpoint
-- The next customers who have something to leave, or whose last score says that they had, in the order of the primary
-- keys: of `p_companies` only, unless that is null.
CREATE OR REPLACE FUNCTION customers_to_score(p_after_company text, p_after_customer text, p_limit integer, p_companies text[])
RETURNS TABLE (company_id text, customer_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT n.company_id, n.customer_id FROM (
    (
      SELECT s.company_id, s.customer_id FROM public.subscriptions s
      WHERE (s.company_id, s.customer_id) > (p_after_company COLLATE "C", p_after_customer COLLATE "C")
        AND s.status IN ('active', 'past_due')
        AND (p_companies IS NULL OR s.company_id = ANY (p_companies))
      GROUP BY s.company_id, s.customer_id ORDER BY s.company_id, s.customer_id LIMIT p_limit
    )
    UNION
    (
      SELECT s.company_id, s.customer_id FROM public.customer_scores s
      WHERE (s.company_id, s.customer_id) > (p_after_company COLLATE "C", p_after_customer COLLATE "C")
        AND s.not_scored IS DISTINCT FROM 'no_paid_access'
        AND (p_companies IS NULL OR s.company_id = ANY (p_companies))
      ORDER BY s.company_id, s.customer_id LIMIT p_limit
    )
  ) AS n ORDER BY n.company_id, n.customer_id LIMIT p_limit
$$;
--> statement-breakpoint
-- Due nudges that nobody holds: of `p_companies` only, unless that is null, and in turns, each company's oldest first, so
-- that no company waits behind another's flood. More than `p_limit` may be answered; the first are the ones to take.
--
-- The oldest few thousand are looked at first, and usually that is all there is. Only when there are more, each company's
-- own oldest are looked up by one probe of an index, so that neither a flood nor what waits for a company that is switched
-- off hides anybody. Of more than 10 000 companies a different 10 000 are probed each time.
CREATE OR REPLACE FUNCTION due_nudges(p_now timestamptz, p_due_before timestamptz, p_limit integer, p_companies text[])
RETURNS TABLE (company_id text, id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
-- A flood is younger than the statistics; whatever they say, rows are read in the order of an index and no more than asked.
SET plan_cache_mode = force_custom_plan SET enable_sort = off SET enable_bitmapscan = off SET enable_seqscan = off AS $$
  WITH oldest AS MATERIALIZED (
    SELECT d.company_id, d.id, d.due_at FROM public.nudges d
    WHERE d.status IN ('planned', 'sending') AND d.due_at <= p_due_before
      AND (d.lease_until IS NULL OR d.lease_until <= p_now)
    ORDER BY d.due_at LIMIT greatest(2000, 4 * p_limit)
  ),
  looked_up AS MATERIALIZED (
    SELECT k.id FROM (
      SELECT c.id FROM public.companies c WHERE p_companies IS NULL
      UNION ALL
      SELECT w.id FROM unnest(p_companies) AS w (id)
    ) AS k
    WHERE (SELECT count(*) FROM oldest) = greatest(2000, 4 * p_limit)
    ORDER BY random() LIMIT 10000
  ),
  waiting AS MATERIALIZED (
    SELECT l.id AS company_id FROM looked_up l CROSS JOIN LATERAL (
      SELECT FROM public.nudges d
      WHERE d.status IN ('planned', 'sending') AND d.company_id = l.id AND d.due_at <= p_due_before
        AND (d.lease_until IS NULL OR d.lease_until <= p_now)
      ORDER BY d.due_at, d.id LIMIT 1
    ) AS any_due
  ),
  share AS MATERIALIZED (SELECT ceil(20.0 * p_limit / greatest(count(*), 1))::integer AS size FROM waiting),
  candidates AS (
    SELECT o.company_id, o.id, o.due_at FROM oldest o
    WHERE p_companies IS NULL OR o.company_id = ANY (p_companies)
    UNION
    SELECT p.company_id, p.id, p.due_at FROM waiting w CROSS JOIN LATERAL (
      SELECT d.company_id, d.id, d.due_at FROM public.nudges d
      WHERE d.status IN ('planned', 'sending') AND d.company_id = w.company_id AND d.due_at <= p_due_before
        AND (d.lease_until IS NULL OR d.lease_until <= p_now)
      ORDER BY d.due_at, d.id LIMIT (SELECT s.size FROM share s)
    ) AS p
  )
  SELECT c.company_id, c.id FROM candidates c
  ORDER BY row_number() OVER (PARTITION BY c.company_id ORDER BY c.due_at, c.id), c.due_at, c.id
$$;
--> statement-breakpoint
-- As before, for every table that is partitioned by time.
CREATE OR REPLACE FUNCTION ensure_partitions(p_now timestamptz, p_months_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
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
-- Whose key this is; nothing when it is unknown or revoked.
CREATE OR REPLACE FUNCTION find_api_key(p_hash bytea) RETURNS TABLE (company_id text, id text, role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT k.company_id, k.id, k.role FROM public.api_keys k WHERE k.hash = p_hash AND k.revoked_at IS NULL
$$;
--> statement-breakpoint
-- Whether the customer's snapshot has moved past one of these facts, or there is none: then the whole ledger must be read.
-- STABLE, as read_stream is: called in one statement, both see one snapshot, and no commit can come between them.
CREATE OR REPLACE FUNCTION has_late_facts(p_customer_id text, p_facts jsonb) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_position jsonb;
BEGIN
  SELECT nullif(c.state -> 'position', 'null'::jsonb) INTO v_position
    FROM customers c WHERE c.company_id = app_company() AND c.id = p_customer_id;
  RETURN v_position IS NULL OR EXISTS (
    SELECT FROM jsonb_array_elements(p_facts) AS f
    WHERE ((f ->> 'occurredAt')::timestamptz, (f ->> 'rank')::smallint, f ->> 'id' COLLATE "C") <= (
      (v_position ->> 'occurredAt')::timestamptz, (v_position ->> 'rank')::smallint, v_position ->> 'id' COLLATE "C"
    )
  );
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION has_late_facts(text, jsonb) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION has_late_facts(text, jsonb) TO churn_worker;
--> statement-breakpoint
-- Indexes the addresses of a contact that is stored already, unless it has changed since it was read (SHA-256 of what is
-- sealed): then whoever changed it has indexed it, or the next run does. True when it was indexed.
CREATE OR REPLACE FUNCTION index_contact(
  p_customer_id text, p_sealed_sha256 text, p_kinds text[], p_addresses text[], p_version integer
)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM customer_pii p
    WHERE p.company_id = app_company() AND p.customer_id = p_customer_id
      AND encode(sha256(p.sealed), 'hex') = p_sealed_sha256
    FOR UPDATE;
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM set_addresses(p_customer_id, p_kinds, p_addresses, p_version);
  RETURN true;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION index_contact(text, text, text[], text[], integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION index_contact(text, text, text[], text[], integer) TO churn_worker;
--> statement-breakpoint
-- Whether the customer of a delivery had at least `customerEventsMax` events in the hour before it; imported events and
-- those that were put aside do not count. A delivery whose customer is not known yet is never one too many.
CREATE OR REPLACE FUNCTION is_flooded(p jsonb) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT count(*) >= (p ->> 'customerEventsMax')::integer FROM (
    SELECT FROM webhook_events e
    WHERE e.company_id = app_company() AND e.status <> 'dead' AND e.provider_event_id NOT LIKE 'history\_%'
      AND e.received_at > (p ->> 'receivedAt')::timestamptz - interval '1 hour'
      AND e.customer_id = (p ->> 'provider') || '_' || coalesce(p ->> 'customer', (
        SELECT l.root_id FROM object_links l
        WHERE l.company_id = app_company() AND l.provider = p ->> 'provider' AND l.is_customer
          AND l.object_id IN (SELECT jsonb_array_elements_text(p -> 'objects'))
        ORDER BY l.root_id LIMIT 1
      ))
    LIMIT (p ->> 'customerEventsMax')::integer
  ) AS recent
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION is_flooded(jsonb) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION is_flooded(jsonb) TO churn_worker;
--> statement-breakpoint
-- The live figures: how events were processed and nudges delivered since `p_from`, over all companies. An event that is
-- still `received` has failed once it is older than `p_waiting_since`; until then it waits, as one that is held does.
-- Events of the mode that this deployment does not take are in no figure.
CREATE OR REPLACE FUNCTION live_figures(p_from timestamptz, p_waiting_since timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  WITH events AS (
    SELECT
      coalesce(sum(e.total), 0) AS total, coalesce(sum(e.processed), 0) AS processed,
      coalesce(sum(e.failed), 0) AS failed, coalesce(sum(e.waiting), 0) AS waiting
    FROM public.companies c
    -- Company by company, as the index by arrival is ordered; one over all of them would cost every webhook a write.
    CROSS JOIN LATERAL (
      SELECT
        count(*) AS total,
        count(*) FILTER (WHERE status IN ('processed', 'unhandled')) AS processed,
        count(*) FILTER (
          WHERE status IN ('failed', 'dead') OR (status = 'received' AND received_at < p_waiting_since)
        ) AS failed,
        count(*) FILTER (
          WHERE status = 'held' OR (status = 'received' AND received_at >= p_waiting_since)
        ) AS waiting
      FROM public.webhook_events WHERE company_id = c.id AND received_at >= p_from
        AND (status <> 'unhandled' OR error IS NULL OR error NOT IN ('test_mode', 'live_mode'))
    ) AS e
  ), sent AS (
    SELECT
      count(*) FILTER (WHERE status = 'sent') AS sent,
      count(*) FILTER (WHERE status = 'failed') AS failed,
      count(*) FILTER (WHERE status = 'unknown') AS unknown
    FROM public.nudges
    WHERE status IN ('sent', 'failed', 'unknown') AND coalesce(sent_at, due_at) >= p_from
  )
  SELECT jsonb_build_object(
    'processing', jsonb_build_object(
      'received', e.total, 'processed', e.processed, 'failed', e.failed, 'waiting', e.waiting),
    'delivery', jsonb_build_object('sent', s.sent, 'failed', s.failed, 'unknown', s.unknown)
  ) FROM events e, sent s
$$;
--> statement-breakpoint
-- Unmapped events whose account has found its company by now, oldest first: registered for the one in the path, or for any
-- where the path names none; or the deployment's own account at Whop (`p_key_account`, or all with `p_is_any`), which is the
-- default company's. Ids only; the caller reads each again and decides whose it is.
CREATE OR REPLACE FUNCTION mappable_events(p_key_account text, p_is_any boolean, p_default_company text, p_limit integer)
RETURNS TABLE (id uuid, path text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT u.id, u.path FROM public.unmapped_events u
  LEFT JOIN public.company_accounts a ON a.provider = u.provider AND a.account_id = u.account
  WHERE CASE WHEN a.company_id IS NOT NULL THEN u.path IN ('', a.company_id)
    ELSE u.provider = 'whop' AND NOT u.is_own_secret AND u.path IN ('', p_default_company)
      AND (p_is_any OR u.account = p_key_account) END
  ORDER BY u.received_at, u.id LIMIT p_limit
$$;
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_system TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_system;
  ALTER FUNCTION mappable_events(text, boolean, text, integer) OWNER TO churn_system;
  REVOKE CREATE ON SCHEMA public FROM churn_system;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION mappable_events(text, boolean, text, integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION mappable_events(text, boolean, text, integer) TO churn_worker;
--> statement-breakpoint
-- Companies that have customers with a milestone that is due, those that have waited longest first: of `p_companies` only,
-- unless that is null.
CREATE OR REPLACE FUNCTION milestone_companies(p_now timestamptz, p_limit integer, p_companies text[]) RETURNS TABLE (company_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT d.company_id FROM (
    SELECT c.company_id, c.milestone_due_at FROM public.customers c
    WHERE c.milestone_due_at <= p_now AND (p_companies IS NULL OR c.company_id = ANY (p_companies)) ORDER BY c.milestone_due_at LIMIT p_limit
  ) AS d GROUP BY d.company_id ORDER BY min(d.milestone_due_at)
$$;
--> statement-breakpoint
-- Companies of `p_companies` (all: null) whose turn it is, those that have waited longest first: not checked, or not
-- retrained for, since `p_before`.
CREATE OR REPLACE FUNCTION monitoring_due(p_what text, p_before timestamptz, p_limit integer, p_companies text[])
RETURNS TABLE (company_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT c.id FROM public.companies c
  LEFT JOIN public.monitoring_positions p ON p.company_id = c.id
  CROSS JOIN LATERAL (SELECT CASE p_what WHEN 'check' THEN p.checked_at ELSE p.retrained_at END AS at) AS last
  WHERE (p_companies IS NULL OR c.id = ANY (p_companies)) AND (last.at IS NULL OR last.at < p_before)
  ORDER BY last.at NULLS FIRST, c.id LIMIT p_limit
$$;
--> statement-breakpoint
-- What monitors ask of the models, over all companies.
CREATE OR REPLACE FUNCTION monitoring_in_hand() RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT jsonb_build_object(
    'openAlarms', (SELECT count(*) FROM public.model_alarms WHERE closed_at IS NULL),
    'mainAlarms', (SELECT count(*) FROM public.model_alarms WHERE closed_at IS NULL AND measure IN ('churn_above', 'churn_below')),
    'proposals', (SELECT count(*) FROM public.model_retrainings WHERE verdict = 'propose'),
    'lastCheckAt', (SELECT max(checked_at) FROM public.monitoring_positions),
    'lastRetrainingAt', (SELECT max(started_at) FROM public.model_retrainings)
  )
$$;
--> statement-breakpoint
-- Cases of feared leavings whose time is over, or whose customer's newest score is at most `p_fallen` of what opened them.
CREATE OR REPLACE FUNCTION passed_risks(p_now timestamptz, p_fallen double precision, p_limit integer, p_companies text[])
RETURNS TABLE (company_id text, customer_id text, id text, probability double precision, as_of timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT r.company_id, r.customer_id, r.id, s.probability, s.as_of
  FROM public.recovery_cases r
    LEFT JOIN public.customer_scores s ON s.company_id = r.company_id AND s.customer_id = r.customer_id AND s.not_scored IS NULL
  WHERE r.kind = 'at_risk' AND r.status = 'open' AND (p_companies IS NULL OR r.company_id = ANY (p_companies))
    AND (r.risk_until <= p_now OR s.as_of > r.opened_at AND s.probability <= r.risk_probability * p_fallen)
  ORDER BY r.risk_until LIMIT p_limit
$$;
--> statement-breakpoint
-- What the customers who share an address with this one have come to: another text as soon as one of them moves on, joins
-- or leaves.
CREATE OR REPLACE FUNCTION person_mark(p_customer_id text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT md5(coalesce(string_agg(s.customer_id || ' ' || s.version, ',' ORDER BY s.customer_id COLLATE "C"), ''))
    FROM customers_sharing(p_customer_id) AS s
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION person_mark(text) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION person_mark(text) TO churn_worker;
--> statement-breakpoint
-- What the contact rules need of the other customers who share an address with this one, and the mark by which
-- `assert_person` knows whether that still holds. One snapshot: the function is STABLE. Of very many customers the states
-- of the latest changed ones are read; opt-outs and what was sent count over all of them.
CREATE OR REPLACE FUNCTION read_person(p_customer_id text, p_sent_since timestamptz) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  WITH shared AS MATERIALIZED (SELECT s.customer_id FROM customers_sharing(p_customer_id) AS s),
  latest AS MATERIALIZED (
    SELECT c.id, c.state FROM customers c
    WHERE c.company_id = app_company() AND c.id IN (SELECT s.customer_id FROM shared s)
    ORDER BY c.updated_at DESC, c.id LIMIT 50
  ),
  told AS MATERIALIZED (
    SELECT n.* FROM nudges n
    WHERE n.company_id = app_company() AND n.customer_id IN (SELECT s.customer_id FROM shared s)
      AND (n.status IN ('planned', 'sending') OR n.sent_at > p_sent_since)
    ORDER BY coalesce(n.sent_at, n.due_at) DESC LIMIT 500
  )
  SELECT jsonb_build_object(
    'mark', person_mark(p_customer_id),
    'isOptedOut', EXISTS (
      SELECT FROM consents o
      WHERE o.company_id = app_company() AND o.customer_id IN (SELECT s.customer_id FROM shared s)
        AND o.purpose = 'recovery_messages' AND NOT o.is_granted
    ),
    'others', coalesce((
      SELECT jsonb_agg(jsonb_build_object(
        'customerId', s.customer_id,
        'state', CASE WHEN jsonb_typeof(l.state) = 'object' THEN jsonb_build_object(
          'profile', l.state -> 'profile', 'subscriptions', l.state -> 'subscriptions', 'cases', l.state -> 'cases',
          'outreach', jsonb_build_object(
            'assignments', coalesce(l.state #> '{outreach,assignments}', '[]'),
            'optedOutAt', l.state #> '{outreach,optedOutAt}',
            'incentives', l.state #> '{outreach,incentives}'
          )
        ) END,
        'nudges', coalesce((
          SELECT jsonb_agg(jsonb_build_object(
            'id', t.id, 'caseId', t.case_id, 'step', t.step, 'channel', t.channel, 'status', t.status,
            'reason', t.reason, 'incentive', t.incentive, 'dueAt', t.due_at, 'attempts', t.attempts, 'sentAt', t.sent_at
          ) ORDER BY t.id) FROM told t WHERE t.customer_id = s.customer_id
        ), '[]')
      ) ORDER BY s.customer_id)
      FROM shared s LEFT JOIN latest l ON l.id = s.customer_id
      WHERE l.id IS NOT NULL OR EXISTS (SELECT FROM told t WHERE t.customer_id = s.customer_id)
    ), '[]')
  )
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION read_person(text, timestamptz) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION read_person(text, timestamptz) TO churn_worker;
--> statement-breakpoint
-- Everything that folding and deciding needs of one customer. `p_after_snapshot`: only the facts that the snapshot does
-- not have yet; otherwise the whole ledger, with the facts of all objects that came to belong to the customer.
CREATE OR REPLACE FUNCTION read_stream(p_customer_id text, p_after_snapshot boolean) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_company text := app_company();
  v_customer customers;
  v_position jsonb;
  v_subject text COLLATE "C";
  v_facts jsonb;
BEGIN
  SELECT * INTO v_customer FROM customers c WHERE c.company_id = v_company AND c.id = p_customer_id;
  IF NOT FOUND THEN RETURN NULL; END IF;
  v_position := CASE WHEN p_after_snapshot THEN nullif(v_customer.state -> 'position', 'null'::jsonb) END;

  IF v_position IS NOT NULL THEN
    SELECT jsonb_agg(jsonb_build_object('id', f.id, 'occurredAt', f.occurred_at, 'body', f.body)) INTO v_facts
      FROM facts f
      WHERE f.company_id = v_company AND f.provider = v_customer.provider
        AND f.subject = v_customer.provider_customer_id
        -- Names the partitions; the row comparison alone would not.
        AND f.occurred_at >= (v_position ->> 'occurredAt')::timestamptz
        AND (f.occurred_at, f.rank, f.id COLLATE "C") > (
          (v_position ->> 'occurredAt')::timestamptz, (v_position ->> 'rank')::smallint, v_position ->> 'id' COLLATE "C"
        )
        -- What we did ourselves is written in one transaction with the state that has it, and moves no position.
        AND f.rank NOT BETWEEN 69 AND 76;
  ELSE
    -- One look-up per subject, so that each uses the whole index, however fresh the table.
    v_facts := '[]';
    FOR v_subject IN
      SELECT v_customer.provider_customer_id
      UNION ALL
      SELECT l.object_id FROM object_links l
        WHERE l.company_id = v_company AND l.provider = v_customer.provider AND l.is_customer AND l.holds_facts
          AND l.root_id = v_customer.provider_customer_id
    LOOP
      v_facts := v_facts || coalesce((
        SELECT jsonb_agg(jsonb_build_object('id', f.id, 'occurredAt', f.occurred_at, 'body', f.body))
          FROM facts f
          WHERE f.company_id = v_company AND f.provider = v_customer.provider AND f.subject = v_subject
      ), '[]');
    END LOOP;
  END IF;

  RETURN jsonb_build_object(
    'customer', jsonb_build_object(
      'id', v_customer.id, 'provider', v_customer.provider, 'providerCustomerId', v_customer.provider_customer_id,
      'version', v_customer.version, 'createdAt', v_customer.created_at
    ),
    'state', v_customer.state,
    'isWhole', v_position IS NULL,
    'facts', coalesce(v_facts, '[]'::jsonb),
    'nudges', coalesce((
      SELECT jsonb_agg(jsonb_build_object(
        'id', n.id, 'caseId', n.case_id, 'step', n.step, 'channel', n.channel, 'status', n.status, 'reason', n.reason,
        'incentive', n.incentive, 'dueAt', n.due_at, 'attempts', n.attempts, 'sentAt', n.sent_at
      ) ORDER BY n.id)
      FROM (
        SELECT * FROM nudges m WHERE m.company_id = v_company AND m.customer_id = v_customer.id
        ORDER BY m.due_at DESC, m.id LIMIT 2000
      ) AS n
    ), '[]'::jsonb),
    'companyName', (SELECT c.name FROM companies c WHERE c.id = v_company),
    'settings', (SELECT s.settings FROM company_settings s WHERE s.company_id = v_company),
    'contact', (
      SELECT encode(p.sealed, 'base64') FROM customer_pii p WHERE p.company_id = v_company AND p.customer_id = v_customer.id
    ),
    'dataKey', (
      SELECT encode(k.wrapped, 'base64') FROM customer_keys k WHERE k.company_id = v_company AND k.customer_id = v_customer.id
    )
  );
END
$$;
--> statement-breakpoint
-- The accounts to be compared, of all companies, those first that have waited longest: the registered ones, and the one of
-- the deployment's own key (empty), which is the default company's. With each, how far its comparisons are.
CREATE OR REPLACE FUNCTION reconciliation_targets(p_default_company text)
RETURNS TABLE (company_id text, provider text, account text, positions jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT t.company_id, t.provider, t.account, coalesce(p.positions, '[]')
  FROM (
    SELECT a.company_id, a.provider, a.account_id AS account FROM public.company_accounts a
    UNION ALL
    SELECT c.id, p.name, '' FROM public.companies c, unnest(ARRAY['stripe', 'whop']) AS p (name) WHERE c.id = p_default_company
  ) AS t
  CROSS JOIN LATERAL (
    SELECT max(r.stepped_at) AS stepped_at, jsonb_agg(jsonb_build_object(
        'kind', r.kind, 'completeUntil', r.complete_until, 'isOpen', r.is_open, 'steppedAt', r.stepped_at
      )) AS positions
    FROM public.reconciliation_positions r
    WHERE r.company_id = t.company_id AND r.provider = t.provider AND r.account = t.account
  ) AS p
  ORDER BY p.stepped_at NULLS FIRST, t.company_id, t.provider, t.account
$$;
--> statement-breakpoint
-- Records one delivery and reads the customer's stream, in one round trip. Of any number of the same delivery, one is
-- new; the others change nothing. The event, its facts and its links are written together or not at all.
CREATE OR REPLACE FUNCTION record_delivery(p jsonb, p_payload bytea) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_company text := p ->> 'companyId';
  v_received timestamptz := (p ->> 'receivedAt')::timestamptz;
  v_status text := p ->> 'status';
  v_placed record;
BEGIN
  PERFORM set_config('app.company_id', v_company, true);

  INSERT INTO webhook_event_keys (company_id, provider, account, provider_event_id, event_id, received_at)
    VALUES (
      v_company, p ->> 'provider', p ->> 'account', p ->> 'providerEventId', (p ->> 'eventId')::uuid, v_received
    )
    ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RETURN jsonb_build_object('isNew', false);
  END IF;

  IF v_status = 'received' AND is_flooded(p) THEN
    -- Kept, and left to a person: no facts, so that the customer costs nothing until somebody replays it.
    INSERT INTO webhook_events (
        company_id, id, provider, account, provider_event_id, type, api_version, status, customer_id, occurred_at,
        received_at, error, payload
      ) VALUES (
        v_company, (p ->> 'eventId')::uuid, p ->> 'provider', p ->> 'account', p ->> 'providerEventId', p ->> 'type',
        p ->> 'apiVersion', 'dead', (p ->> 'provider') || '_' || (p ->> 'customer'), (p ->> 'occurredAt')::timestamptz,
        v_received, 'customer_flood', p_payload
      );
    RETURN jsonb_build_object('isNew', true, 'isFlood', true);
  END IF;

  SELECT * INTO v_placed FROM place_facts(p);
  IF v_status = 'unhandled' AND v_placed.has_joined THEN
    -- It says nothing itself, but facts that had waited have found their customer through it.
    v_status := 'received';
  END IF;
  IF v_status = 'received' AND v_placed.customer_id IS NULL THEN
    -- Nothing to fold before somebody names the customer; the facts wait in the ledger.
    v_status := 'processed';
  END IF;
  INSERT INTO webhook_events (
      company_id, id, provider, account, provider_event_id, type, api_version, status, subject, customer_id, occurred_at,
      received_at, processed_at, next_attempt_at, error, payload
    ) VALUES (
      v_company, (p ->> 'eventId')::uuid, p ->> 'provider', p ->> 'account', p ->> 'providerEventId', p ->> 'type',
      p ->> 'apiVersion', v_status, v_placed.subject, v_placed.customer_id, (p ->> 'occurredAt')::timestamptz, v_received,
      CASE WHEN v_status IN ('processed', 'unhandled') THEN v_received END,
      CASE WHEN v_status = 'received' THEN (p ->> 'nextAttemptAt')::timestamptz END,
      p ->> 'error', p_payload
    );
  IF v_status <> 'received' THEN
    RETURN jsonb_build_object('isNew', true);
  END IF;

  -- One statement: where the snapshot is and what comes after it are read under the same snapshot of the database.
  RETURN jsonb_build_object('isNew', true, 'stream', read_stream(
    v_placed.customer_id, NOT (v_placed.has_joined OR has_late_facts(v_placed.customer_id, p -> 'facts'))
  ));
END
$$;
--> statement-breakpoint
-- Records a batch of what a company itself tells of its customers: use, and support tickets. Each is an event like a
-- webhook, written once for good under the sender's own id, whoever the customer is; an id that is there already changes
-- nothing. Answers which were new, and the streams of the customers that have something to fold: one round trip, one
-- transaction. Each element of `p_events` is a delivery with its sealed payload in base64; the company is set by the caller.
CREATE OR REPLACE FUNCTION record_signals(p_events jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_company text := app_company();
  p jsonb;
  v_placed record;
  v_received timestamptz;
  -- Customers to fold, each with its new facts.
  v_customers jsonb := '{}';
  v_new jsonb := '[]';
BEGIN
  -- In one order, so that batches that share ids wait for each other and never in a circle.
  FOR p IN SELECT e FROM jsonb_array_elements(p_events) AS e ORDER BY e ->> 'providerEventId' COLLATE "C" LOOP
    v_received := (p ->> 'receivedAt')::timestamptz;
    -- Not the customer's provider: the sender's ids are the company's, over all providers.
    INSERT INTO webhook_event_keys (company_id, provider, account, provider_event_id, event_id, received_at)
      VALUES (v_company, 'signal', '', p ->> 'providerEventId', (p ->> 'eventId')::uuid, v_received)
      ON CONFLICT DO NOTHING;
    CONTINUE WHEN NOT FOUND;
    v_new := v_new || to_jsonb(p ->> 'providerEventId');

    SELECT * INTO v_placed FROM place_facts(p);
    INSERT INTO webhook_events (
        company_id, id, provider, account, provider_event_id, type, api_version, status, subject, customer_id, occurred_at,
        received_at, next_attempt_at, payload
      ) VALUES (
        v_company, (p ->> 'eventId')::uuid, p ->> 'provider', p ->> 'account', p ->> 'providerEventId', p ->> 'type',
        p ->> 'apiVersion', p ->> 'status', v_placed.subject, v_placed.customer_id, (p ->> 'occurredAt')::timestamptz,
        v_received, CASE WHEN p ->> 'status' = 'received' THEN (p ->> 'nextAttemptAt')::timestamptz END,
        decode(p ->> 'payload', 'base64')
      );
    CONTINUE WHEN p ->> 'status' <> 'received';

    v_customers := jsonb_set(
      v_customers, ARRAY[v_placed.customer_id],
      coalesce(v_customers -> v_placed.customer_id, '[]') || (p -> 'facts')
    );
  END LOOP;

  -- One statement, as in record_delivery.
  RETURN jsonb_build_object('new', v_new, 'streams', coalesce((
    SELECT jsonb_agg(read_stream(c.key, NOT has_late_facts(c.key, c.value))) FROM jsonb_each(v_customers) AS c
  ), '[]'::jsonb));
END
$$;
--> statement-breakpoint
-- Reads an event that is there already once more: facts that a newer reading finds in it are added, and the customer's
-- whole stream is answered; null when it still names nobody.
CREATE OR REPLACE FUNCTION replay_delivery(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_placed record;
BEGIN
  SELECT * INTO v_placed FROM place_facts(p);
  UPDATE webhook_events e SET subject = v_placed.subject, customer_id = v_placed.customer_id, error = p ->> 'error',
      -- One that says nothing itself is not finished either while facts that found their customer through it are not folded.
      status = CASE
        WHEN v_placed.customer_id IS NULL OR (p ->> 'status' = 'unhandled' AND NOT v_placed.has_joined) THEN p ->> 'status'
        ELSE 'received' END,
      attempts = e.attempts + 1, next_attempt_at = (p ->> 'nextAttemptAt')::timestamptz
    WHERE e.company_id = app_company() AND e.id = (p ->> 'eventId')::uuid
      AND e.received_at = (p ->> 'receivedAt')::timestamptz;
  RETURN CASE WHEN v_placed.customer_id IS NOT NULL THEN read_stream(v_placed.customer_id, false) END;
END
$$;
--> statement-breakpoint
-- Companies whose customers were not looked through since `p_before`, of `p_companies` only unless that is null.
CREATE OR REPLACE FUNCTION risk_companies(p_before timestamptz, p_limit integer, p_companies text[]) RETURNS TABLE (company_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT c.id FROM public.companies c LEFT JOIN public.risk_passes p ON p.company_id = c.id
  WHERE (p.passed_at IS NULL OR p.passed_at < p_before) AND (p_companies IS NULL OR c.id = ANY (p_companies))
  ORDER BY p.passed_at NULLS FIRST, c.id LIMIT p_limit
$$;
--> statement-breakpoint
-- What monitors ask of scoring, over all companies: champions, those of them that were refused and not put right, the
-- version that is shared by all, and the last night's pass.
CREATE OR REPLACE FUNCTION scoring_in_hand(p_pin text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT jsonb_build_object(
    'champions', (SELECT count(*) FROM public.models WHERE state = 'champion'),
    'refused', (SELECT count(*) FROM public.models WHERE state = 'champion' AND refused_at IS NOT NULL),
    'shared', (SELECT max(version) FROM public.models WHERE state = 'champion' AND company_id = '*'),
    'isPinThere', p_pin IS NULL OR EXISTS (SELECT FROM public.models WHERE p_pin IN (version, sha256)),
    'pass', (SELECT to_jsonb(r) - 'after_company' - 'after_customer' FROM public.rescore_passes r ORDER BY night DESC LIMIT 1)
  )
$$;
--> statement-breakpoint
-- The addresses of a customer are these from now on. Earlier ones stay where the customer has opted out.
CREATE OR REPLACE FUNCTION set_addresses(p_customer_id text, p_kinds text[], p_addresses text[], p_version integer)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM customer_addresses a
    WHERE a.company_id = app_company() AND a.customer_id = p_customer_id
      AND encode(a.address, 'hex') <> ALL (p_addresses)
      AND NOT EXISTS (
        SELECT FROM consents o
        WHERE o.company_id = a.company_id AND o.customer_id = a.customer_id
          AND o.purpose = 'recovery_messages' AND NOT o.is_granted
      );
  INSERT INTO customer_addresses (company_id, customer_id, kind, address)
    SELECT app_company(), p_customer_id, given.kind, decode(given.address, 'hex')
      FROM unnest(p_kinds, p_addresses) AS given (kind, address)
    ON CONFLICT DO NOTHING;
  UPDATE customer_pii p SET indexed_version = p_version
    WHERE p.company_id = app_company() AND p.customer_id = p_customer_id;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION set_addresses(text, text[], text[], integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION set_addresses(text, text[], text[], integer) TO churn_worker;
--> statement-breakpoint
-- Events that were recorded but not finished: of `p_companies` only, unless that is null, and in turns, each company's
-- in the order of their arrival or, once a try has failed, of their next try. Only companies with unfinished events are
-- walked, one probe of an index each, and of each no more is read than could be answered. Should more than 10 000 have
-- some at once, the others follow as these are finished.
CREATE OR REPLACE FUNCTION unfinished_events(p_now timestamptz, p_limit integer, p_companies text[])
RETURNS TABLE (company_id text, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_custom_plan SET enable_sort = off SET enable_bitmapscan = off SET enable_seqscan = off AS $$
  WITH RECURSIVE walked (company_id, take_at, n) AS (
    (
      SELECT e.company_id, coalesce(e.next_attempt_at, e.received_at), 1 FROM public.webhook_events e
      WHERE e.status IN ('received', 'failed', 'held')
      ORDER BY e.company_id, coalesce(e.next_attempt_at, e.received_at) LIMIT 1
    )
    UNION ALL
    SELECT f.company_id, f.take_at, w.n + 1 FROM walked w CROSS JOIN LATERAL (
      SELECT e.company_id, coalesce(e.next_attempt_at, e.received_at) AS take_at FROM public.webhook_events e
      WHERE e.status IN ('received', 'failed', 'held') AND e.company_id > w.company_id
      ORDER BY e.company_id, coalesce(e.next_attempt_at, e.received_at) LIMIT 1
    ) AS f
    WHERE w.n < 10000
  ),
  waiting AS MATERIALIZED (
    SELECT w.company_id FROM walked w
    WHERE w.take_at <= p_now AND (p_companies IS NULL OR w.company_id = ANY (p_companies))
  ),
  share AS MATERIALIZED (SELECT ceil(20.0 * p_limit / greatest(count(*), 1))::integer AS size FROM waiting)
  SELECT p.company_id, p.id FROM waiting w CROSS JOIN LATERAL (
    SELECT e.company_id, e.id, coalesce(e.next_attempt_at, e.received_at) AS take_at, e.received_at FROM public.webhook_events e
    WHERE e.status IN ('received', 'failed', 'held') AND e.company_id = w.company_id
      AND coalesce(e.next_attempt_at, e.received_at) <= p_now
    ORDER BY coalesce(e.next_attempt_at, e.received_at), e.received_at, e.id LIMIT (SELECT s.size FROM share s)
  ) AS p
  ORDER BY row_number() OVER (PARTITION BY p.company_id ORDER BY p.take_at, p.received_at, p.id), p.take_at, p.id
  LIMIT p_limit
$$;
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_system TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_system;
  ALTER FUNCTION unfinished_events(timestamptz, integer, text[]) OWNER TO churn_system;
  REVOKE CREATE ON SCHEMA public FROM churn_system;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION unfinished_events(timestamptz, integer, text[]) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION unfinished_events(timestamptz, integer, text[]) TO churn_worker;
--> statement-breakpoint
-- Planned nudges that nobody holds and that fall due after `p_now` and by `p_until`, in the order of `due_nudges`. They are
-- read and not taken: who hands them over ahead of time claims nothing.
CREATE OR REPLACE FUNCTION upcoming_nudges(p_now timestamptz, p_until timestamptz, p_limit integer, p_companies text[])
RETURNS TABLE (company_id text, id text, due_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT n.company_id, n.id, n.due_at
  FROM public.due_nudges(p_now, p_until, p_limit, p_companies) WITH ORDINALITY AS d (company_id, id, turn)
  JOIN public.nudges n ON n.company_id = d.company_id AND n.id = d.id
  WHERE n.status = 'planned' AND n.due_at > p_now
  ORDER BY d.turn LIMIT p_limit
$$;
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_system TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_system;
  ALTER FUNCTION upcoming_nudges(timestamptz, timestamptz, integer, text[]) OWNER TO churn_system;
  REVOKE CREATE ON SCHEMA public FROM churn_system;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION upcoming_nudges(timestamptz, timestamptz, integer, text[]) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION upcoming_nudges(timestamptz, timestamptz, integer, text[]) TO churn_worker;
--> statement-breakpoint
-- Objects that have waited for their customer since before `p_before`: those never asked about first, the others again after
-- as long as they had waited then, and none for more than two weeks (a guest's payment has no customer at all).
CREATE OR REPLACE FUNCTION waiting_objects(p_before timestamptz, p_limit integer)
RETURNS TABLE (company_id text, provider text, object_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT l.company_id, l.provider, l.object_id FROM public.object_links l
  WHERE NOT l.is_customer AND l.created_at <= p_before AND l.created_at > p_before - interval '14 days'
    AND (l.asked_at IS NULL OR l.asked_at + (l.asked_at - l.created_at) <= p_before)
  ORDER BY l.asked_at NULLS FIRST, l.created_at LIMIT p_limit
$$;
--> statement-breakpoint
-- As before, but an event that was replayed waits since then.
CREATE OR REPLACE FUNCTION work_in_hand(p_now timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT jsonb_build_object(
    'due', (SELECT count(*) FROM (
      SELECT FROM public.nudges WHERE status IN ('planned', 'sending') AND due_at <= p_now LIMIT 10000) AS d),
    'overdue', (SELECT count(*) FROM (
      SELECT FROM public.nudges WHERE status IN ('planned', 'sending') AND due_at <= p_now - interval '1 hour' LIMIT 10000) AS o),
    'leased', (SELECT count(*) FROM (
      SELECT FROM public.nudges WHERE status IN ('planned', 'sending') AND due_at <= p_now AND lease_until > p_now LIMIT 10000) AS l),
    'nextDueAt', least(
      (SELECT min(due_at) FROM public.nudges WHERE status IN ('planned', 'sending') AND due_at > p_now),
      (SELECT min(greatest(due_at, lease_until, p_now)) FROM (
        SELECT due_at, lease_until FROM public.nudges WHERE status IN ('planned', 'sending') AND due_at <= p_now LIMIT 10000) AS n)
    ),
    'pending', (SELECT count(*) FROM (
      SELECT FROM public.webhook_events WHERE status IN ('received', 'failed') LIMIT 10000) AS r),
    'held', (SELECT count(*) FROM (SELECT FROM public.webhook_events WHERE status = 'held' LIMIT 10000) AS h),
    'unmapped', (SELECT count(*) FROM (SELECT FROM public.unmapped_events LIMIT 10000) AS u),
    'oldestPendingAt', (
      SELECT min(coalesce(replayed_at, received_at)) FROM public.webhook_events WHERE status IN ('received', 'failed'))
  )
$$;
