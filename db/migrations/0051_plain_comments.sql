-- the end of the transaction nobody else can write facts of these customers, and facts written afterwards are known
-- later. It takes its locks without waiting, so it cannot be part of a deadlock: a customer whose facts are being
-- written counts as changed.
CREATE OR REPLACE FUNCTION assert_knowledge(p_customers text[], p_counts integer[], p_as_of timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  v_company text := app_company();
  v_place integer;
  v_customer customers;
  v_subject record;
  v_count integer;
BEGIN
  FOR v_place IN 1..cardinality(p_customers) LOOP
    v_count := NULL;
    IF pg_try_advisory_xact_lock(knowledge_lock(p_customers[v_place])) THEN
      SELECT * INTO v_customer FROM customers c WHERE c.company_id = v_company AND c.id = p_customers[v_place];
      v_count := 0;
      FOR v_subject IN
        SELECT v_customer.provider_customer_id AS id, NULL::timestamptz AS linked_at
        UNION ALL
        SELECT l.object_id, coalesce(l.linked_at, l.created_at) FROM object_links l
          WHERE l.company_id = v_company AND l.provider = v_customer.provider AND l.is_customer AND l.holds_facts
            AND l.root_id = v_customer.provider_customer_id
      LOOP
        v_count := v_count + (
          SELECT count(*) FROM facts f
          WHERE f.company_id = v_company AND f.provider = v_customer.provider AND f.subject = v_subject.id
            AND greatest(coalesce(f.known_at, f.recorded_at), v_subject.linked_at) <= p_as_of
        );
      END LOOP;
    END IF;
    IF v_count IS DISTINCT FROM p_counts[v_place] THEN
      RAISE EXCEPTION 'more facts of a customer are known now' USING ERRCODE = 'CS001';
    END IF;
  END LOOP;
END
$$;
--> statement-breakpoint
-- were read. Until the end of the transaction every other sender to the same person waits: of two messages decided at
-- the same time, the second is decided again. There is one lock per address, always taken in the same order, after the
-- customer's own row.
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
  -- A separate statement, so that it sees what was committed while the locks were awaited.
  IF person_mark(p_customer_id) IS DISTINCT FROM p_mark THEN
    RAISE EXCEPTION 'another customer of the person has changed' USING ERRCODE = 'CS001';
  END IF;
END
$$;
--> statement-breakpoint
-- first, then the row, in the same order as every writer.
CREATE OR REPLACE FUNCTION assert_version(p_customer_id text, p_expected integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_version integer;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(knowledge_lock(p_customer_id));
  SELECT c.version INTO v_version FROM customers c
    WHERE c.company_id = app_company() AND c.id = p_customer_id FOR UPDATE;
  IF v_version IS DISTINCT FROM p_expected THEN
    RAISE EXCEPTION 'the customer has another version' USING ERRCODE = 'CS001';
  END IF;
END
$$;
--> statement-breakpoint
-- Begins a run, in one round trip: {"refused": "paused" | "already_run" | "already_running"}, or {"fence", "replaced"}
-- with the number of expired runs that were closed. The row of job_states serializes the starts of one job.
CREATE OR REPLACE FUNCTION begin_job_run(
  p_id uuid, p_job text, p_source text, p_owner text, p_slot timestamptz, p_now timestamptz, p_until timestamptz
)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_is_paused boolean;
  v_replaced integer;
  v_fence bigint;
BEGIN
  INSERT INTO job_states AS s (job, last_qstash_at, last_cron_at)
    VALUES (
      p_job,
      CASE WHEN p_source = 'qstash' AND p_slot IS NOT NULL THEN p_now END,
      CASE WHEN p_source = 'cron' THEN p_now END
    )
    ON CONFLICT (job) DO UPDATE SET
      last_qstash_at = coalesce(excluded.last_qstash_at, s.last_qstash_at),
      last_cron_at = coalesce(excluded.last_cron_at, s.last_cron_at)
    RETURNING s.is_paused INTO v_is_paused;
  IF v_is_paused THEN RETURN '{"refused": "paused"}'; END IF;

  -- A slot whose run failed counts as not run: the other heartbeat may try it.
  IF EXISTS (
    SELECT FROM job_runs r
    WHERE r.job = p_job AND r.slot >= p_slot AND r.error IS NULL AND (r.finished_at IS NOT NULL OR r.lease_until > p_now)
  ) THEN
    RETURN '{"refused": "already_run"}';
  END IF;
  IF EXISTS (SELECT FROM job_runs r WHERE r.job = p_job AND r.finished_at IS NULL AND r.lease_until > p_now) THEN
    RETURN '{"refused": "already_running"}';
  END IF;

  UPDATE job_runs r SET finished_at = p_now, outcome = 'lost', error = 'lease_expired'
    WHERE r.job = p_job AND r.finished_at IS NULL;
  GET DIAGNOSTICS v_replaced = ROW_COUNT;
  INSERT INTO job_runs AS r (id, job, source, owner, slot, started_at, heartbeat_at, lease_until)
    VALUES (p_id, p_job, p_source, p_owner, p_slot, p_now, p_now, p_until)
    RETURNING r.fence INTO v_fence;
  RETURN jsonb_build_object('fence', v_fence, 'replaced', v_replaced);
END
$$;
--> statement-breakpoint
-- Claims due nudges for `p_owner` until `p_until`, each by one worker at most, in the order of `due_nudges`. A nudge in
-- `sending` whose lease has expired is claimed too: its worker was lost. Rows are locked one by one by their key, and
-- checked again under the lock.
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
    -- By the key alone: with more conditions a plan could choose an index that contains a whole backlog.
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
-- companies, each company's oldest first, so that no company waits behind another's backlog. More than `p_limit` may be
-- returned; claim the first ones.
--
-- The oldest few thousand are read first; usually these are all. Only when there are more, each company's own oldest
-- are read by one index look-up, so that neither a backlog nor the nudges of a company that is switched off hide
-- others. Of more than 10 000 companies a different 10 000 are looked up each time.
CREATE OR REPLACE FUNCTION due_nudges(p_now timestamptz, p_due_before timestamptz, p_limit integer, p_companies text[])
RETURNS TABLE (company_id text, id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
-- The planner's statistics do not include a new backlog, so the plan is forced to read rows in index order up to the
-- limit.
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
-- Creates the partitions of the current and the next months for every table that is partitioned by time.
CREATE OR REPLACE FUNCTION ensure_partitions(p_now timestamptz, p_months_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  v_table text;
  v_name text;
  v_from date;
  v_made integer := 0;
BEGIN
  -- Both heartbeats of the scheduler call this in the same second; the later one finds everything created.
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
        -- The default partition holds rows of that month already; they stay there.
        NULL;
      END;
    END LOOP;
  END LOOP;
  RETURN v_made;
END
$$;
--> statement-breakpoint
-- after `p_after` (null: from the beginning); `next` is the position after which the next page starts, null on the last
-- page. `p_is_whole`: with the facts of all objects that were linked to the customer, and with our own actions;
-- otherwise only facts that a snapshot does not contain yet. `knownAt` is when a fact was first known of the customer:
-- recorded, and its object linked to the customer.
CREATE OR REPLACE FUNCTION ledger_page(
  p_customer customers, p_is_whole boolean, p_after jsonb, p_limit integer
)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_at timestamptz := coalesce((p_after ->> 'occurredAt')::timestamptz, '-infinity');
  v_rank smallint := coalesce((p_after ->> 'rank')::smallint, -1);
  v_id text COLLATE "C" := coalesce(p_after ->> 'id', '');
  v_limit integer := coalesce(p_limit, 2000);
  v_facts jsonb;
  v_next jsonb;
BEGIN
  -- One look-up per subject, in index order and up to the limit, also while the table has no statistics.
  WITH subjects AS MATERIALIZED (
    SELECT p_customer.provider_customer_id AS id, NULL::timestamptz AS linked_at
    UNION ALL
    SELECT l.object_id, coalesce(l.linked_at, l.created_at) FROM object_links l
      WHERE p_is_whole AND l.company_id = p_customer.company_id AND l.provider = p_customer.provider AND l.is_customer
        AND l.holds_facts AND l.root_id = p_customer.provider_customer_id
  ),
  -- One more than the page holds, to know whether there is another.
  found AS MATERIALIZED (
    SELECT f.*, row_number() OVER (ORDER BY f.occurred_at, f.rank, f.id) AS place
    FROM subjects s CROSS JOIN LATERAL (
      SELECT o.id, o.occurred_at, o.rank, o.body,
        greatest(coalesce(o.known_at, o.recorded_at), s.linked_at) AS known_at
      FROM facts o
      WHERE o.company_id = p_customer.company_id AND o.provider = p_customer.provider AND o.subject = s.id
        -- Enables partition pruning, which the row comparison alone does not.
        AND o.occurred_at >= v_at AND (o.occurred_at, o.rank, o.id) > (v_at, v_rank, v_id)
        -- Our own actions are written in one transaction with the state that contains them, and move no position.
        AND (p_is_whole OR o.rank NOT BETWEEN 69 AND 76)
      ORDER BY o.occurred_at, o.rank, o.id LIMIT v_limit + 1
    ) AS f
    ORDER BY f.occurred_at, f.rank, f.id LIMIT v_limit + 1
  )
  SELECT
    jsonb_agg(
      jsonb_build_object('id', f.id, 'occurredAt', f.occurred_at, 'body', f.body, 'knownAt', f.known_at) ORDER BY f.place
    ) FILTER (WHERE f.place <= v_limit),
    jsonb_agg(
      jsonb_build_object('occurredAt', f.occurred_at, 'rank', f.rank, 'id', f.id)
    ) FILTER (WHERE f.place = v_limit AND EXISTS (SELECT FROM found m WHERE m.place > v_limit)) -> 0
  INTO v_facts, v_next FROM found f;
  RETURN jsonb_build_object('facts', coalesce(v_facts, '[]'), 'next', v_next);
END
$$;
--> statement-breakpoint
-- all companies. An event that is still `received` counts as failed once it is older than `p_waiting_since`; until then
-- it counts as waiting, like a held event. Events of the other mode (test or live) are not counted.
CREATE OR REPLACE FUNCTION live_figures(p_from timestamptz, p_waiting_since timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  WITH events AS (
    SELECT
      coalesce(sum(e.total), 0) AS total, coalesce(sum(e.processed), 0) AS processed,
      coalesce(sum(e.failed), 0) AS failed, coalesce(sum(e.waiting), 0) AS waiting
    FROM public.companies c
    -- Per company, to use the index by company and arrival; an index over all companies would cost every webhook a
    -- write.
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
-- CS001 when the customer no longer has the version of the first page: pages of two versions must not be combined, and
-- the caller reads again.
CREATE OR REPLACE FUNCTION read_facts(p_customer_id text, p_version integer, p_is_whole boolean, p_after jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_customer customers;
BEGIN
  SELECT * INTO v_customer FROM customers c WHERE c.company_id = app_company() AND c.id = p_customer_id;
  IF v_customer.version IS DISTINCT FROM p_version THEN
    RAISE EXCEPTION 'the customer has another version' USING ERRCODE = 'CS001';
  END IF;
  RETURN ledger_page(v_customer, p_is_whole, p_after, NULL);
END
$$;
--> statement-breakpoint
-- mark that `assert_person` compares. One database snapshot: the function is STABLE. The states of the 50 customers
-- that changed last are read; opt-outs and sent nudges count over all of them.
CREATE OR REPLACE FUNCTION read_person(p_customer_id text, p_sent_since timestamptz) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  WITH shared AS MATERIALIZED (SELECT s.customer_id FROM customers_sharing(p_customer_id) AS s),
  latest AS MATERIALIZED (
    SELECT c.id, c.state FROM customers c
    WHERE c.company_id = app_company() AND c.id IN (SELECT s.customer_id FROM shared s)
    ORDER BY c.updated_at DESC, c.id LIMIT 50
  ),
  sent AS MATERIALIZED (
    SELECT n.* FROM nudges n
    WHERE n.company_id = app_company() AND n.customer_id IN (SELECT s.customer_id FROM shared s)
      AND (n.status IN ('planned', 'sending') OR n.sent_at > p_sent_since)
    ORDER BY coalesce(n.sent_at, n.due_at) DESC LIMIT 500
  )
  SELECT jsonb_build_object(
    'mark', person_mark(p_customer_id),
    'quarantinedUntil', (
      SELECT q.ends_at FROM customer_quarantines q WHERE q.company_id = app_company() AND q.customer_id = p_customer_id
    ),
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
          ) ORDER BY t.id) FROM sent t WHERE t.customer_id = s.customer_id
        ), '[]')
      ) ORDER BY s.customer_id)
      FROM shared s LEFT JOIN latest l ON l.id = s.customer_id
      WHERE l.id IS NOT NULL OR EXISTS (SELECT FROM sent t WHERE t.customer_id = s.customer_id)
    ), '[]')
  )
$$;
--> statement-breakpoint
-- repeated deliveries is new; the others change nothing. The event, its facts and its links are written together or not
-- at all.
CREATE OR REPLACE FUNCTION record_delivery(p jsonb, p_payload bytea) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_company text := p ->> 'companyId';
  v_received timestamptz := (p ->> 'receivedAt')::timestamptz;
  v_status text := p ->> 'status';
  v_placed record;
  v_customer_id text;
  v_reason text;
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

  v_customer_id := customer_named_by(p);
  v_reason := reason_to_set_aside(p, CASE WHEN v_status = 'received' AND v_customer_id IS NOT NULL THEN
    events_left(v_customer_id, (p ->> 'customerEventsMax')::integer, v_received)
  END);
  IF v_reason IS NOT NULL THEN
    -- Stored for an operator, without facts and links, so that the customer causes no work until it is replayed.
    INSERT INTO webhook_events (
        company_id, id, provider, account, provider_event_id, type, api_version, status, customer_id, occurred_at,
        received_at, error, payload
      ) VALUES (
        v_company, (p ->> 'eventId')::uuid, p ->> 'provider', p ->> 'account', p ->> 'providerEventId', p ->> 'type',
        p ->> 'apiVersion', CASE WHEN v_status = 'unhandled' THEN v_status ELSE 'dead' END, v_customer_id,
        (p ->> 'occurredAt')::timestamptz, v_received, v_reason, p_payload
      );
    RETURN jsonb_build_object('isNew', true, 'setAside', v_reason);
  END IF;

  SELECT * INTO v_placed FROM place_facts(p);
  IF v_status = 'unhandled' AND v_placed.has_joined THEN
    -- It has no facts itself, but waiting facts were linked to their customer through it.
    v_status := 'received';
  END IF;
  IF v_status = 'received' AND v_placed.customer_id IS NULL THEN
    -- Nothing to fold until the customer is known; the facts wait in the ledger.
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

  -- One statement, so that the position and the facts after it are read in the same database snapshot.
  RETURN jsonb_build_object('isNew', true, 'stream', read_stream(
    v_placed.customer_id, NOT (v_placed.has_joined OR has_late_facts(v_placed.customer_id, p -> 'facts'))
  ));
END
$$;
--> statement-breakpoint
-- streams of the customers with new facts to fold: one round trip for the page. New and known events are counted in the
-- same transaction, so that a page that is imported twice is counted once. Each element of `p_events` is a delivery
-- with its sealed payload in base64; the caller sets the company.
CREATE OR REPLACE FUNCTION record_history(p_backfill_id text, p_events jsonb, p_now timestamptz) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_company text := app_company();
  p jsonb;
  v_object text;
  v_placed record;
  v_status text;
  v_reason text;
  v_received timestamptz;
  v_imported integer := 0;
  v_unread integer := 0;
  v_customers text[] := '{}';
  v_outcomes jsonb := '[]';
BEGIN
  -- All locks first and in one order, so that pages and webhooks that share objects cannot deadlock.
  FOR v_object IN
    SELECT DISTINCT o.id COLLATE "C" FROM jsonb_array_elements(p_events) AS e, jsonb_array_elements_text(e -> 'objects') AS o (id)
    ORDER BY 1
  LOOP
    PERFORM pg_advisory_xact_lock(
      hashtextextended(v_company || '|' || (p_events -> 0 ->> 'provider') || '|' || v_object, 0)
    );
  END LOOP;

  FOR p IN SELECT e FROM jsonb_array_elements(p_events) AS e LOOP
    v_received := (p ->> 'receivedAt')::timestamptz;
    INSERT INTO webhook_event_keys (company_id, provider, account, provider_event_id, event_id, received_at)
      VALUES (v_company, p ->> 'provider', p ->> 'account', p ->> 'providerEventId', (p ->> 'eventId')::uuid, v_received)
      ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      v_outcomes := v_outcomes || jsonb_build_object('isNew', false);
      CONTINUE;
    END IF;

    v_imported := v_imported + 1;
    -- A history may be long, so there is no hourly limit; links are bounded all the same.
    v_reason := reason_to_set_aside(p, NULL);
    IF v_reason IS NOT NULL THEN
      INSERT INTO webhook_events (
          company_id, id, provider, account, provider_event_id, type, api_version, status, customer_id, occurred_at,
          received_at, error, payload
        ) VALUES (
          v_company, (p ->> 'eventId')::uuid, p ->> 'provider', p ->> 'account', p ->> 'providerEventId', p ->> 'type',
          p ->> 'apiVersion', 'dead', customer_named_by(p), (p ->> 'occurredAt')::timestamptz, v_received, v_reason,
          decode(p ->> 'payload', 'base64')
        );
      v_outcomes := v_outcomes || jsonb_build_object('isNew', true);
      CONTINUE;
    END IF;

    SELECT * INTO v_placed FROM place_facts(p);
    v_status := p ->> 'status';
    IF v_status = 'unhandled' THEN
      v_unread := v_unread + 1;
      -- It has no facts itself, but waiting facts were linked to their customer through it.
      IF v_placed.has_joined THEN v_status := 'received'; END IF;
    END IF;
    -- Nothing to fold until the customer is known; the facts wait in the ledger.
    IF v_status = 'received' AND v_placed.customer_id IS NULL THEN v_status := 'processed'; END IF;
    INSERT INTO webhook_events (
        company_id, id, provider, account, provider_event_id, type, api_version, status, subject, customer_id, occurred_at,
        received_at, processed_at, next_attempt_at, error, payload
      ) VALUES (
        v_company, (p ->> 'eventId')::uuid, p ->> 'provider', p ->> 'account', p ->> 'providerEventId', p ->> 'type',
        p ->> 'apiVersion', v_status, v_placed.subject, v_placed.customer_id, (p ->> 'occurredAt')::timestamptz, v_received,
        CASE WHEN v_status <> 'received' THEN v_received END,
        CASE WHEN v_status = 'received' THEN (p ->> 'nextAttemptAt')::timestamptz END,
        p ->> 'error', decode(p ->> 'payload', 'base64')
      );
    IF v_status = 'received' AND NOT v_placed.customer_id = ANY (v_customers) THEN
      v_customers := v_customers || v_placed.customer_id;
    END IF;
    v_outcomes := v_outcomes || jsonb_build_object(
      'isNew', true, 'customerId', CASE WHEN v_status = 'received' THEN v_placed.customer_id END
    );
  END LOOP;

  UPDATE backfills b SET imported = b.imported + v_imported, unread = b.unread + v_unread,
      known = b.known + jsonb_array_length(p_events) - v_imported, updated_at = p_now
    WHERE b.company_id = v_company AND b.id = p_backfill_id;
  RETURN jsonb_build_object('outcomes', v_outcomes, 'streams', coalesce((
    SELECT jsonb_agg(read_stream(c.id, false)) FROM unnest(v_customers) AS c (id)
  ), '[]'::jsonb));
END
$$;
--> statement-breakpoint
-- tickets. Each is an event like a webhook, stored once under the sender's own id, for any customer; an id that exists
-- already changes nothing. Returns which were new, which of these are stored and not processed, with the reason, and
-- the streams of the customers with facts to fold: one round trip, one transaction. Each element of `p_events` is a
-- delivery with its sealed payload in base64; the caller sets the company.
CREATE OR REPLACE FUNCTION record_signals(p_events jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_company text := app_company();
  p jsonb;
  v_placed record;
  v_received timestamptz;
  -- Customers to fold, each with its new facts.
  v_customers jsonb := '{}';
  v_new jsonb := '[]';
  v_customer_id text;
  -- How many more events of each customer may be processed.
  v_left jsonb := '{}';
  v_reason text;
  v_set_aside jsonb := '{}';
BEGIN
  -- All customers first and in one order, because `events_left` may take a lock.
  FOR v_customer_id IN
    SELECT DISTINCT customer_named_by(e) COLLATE "C" FROM jsonb_array_elements(p_events) AS e
      WHERE e ->> 'status' = 'received' ORDER BY 1
  LOOP
    v_left := v_left || jsonb_build_object(v_customer_id, events_left(
      v_customer_id, (p_events -> 0 ->> 'customerEventsMax')::integer, (p_events -> 0 ->> 'receivedAt')::timestamptz
    ));
  END LOOP;

  -- In one order, so that batches that share ids cannot deadlock.
  FOR p IN SELECT e FROM jsonb_array_elements(p_events) AS e ORDER BY e ->> 'providerEventId' COLLATE "C" LOOP
    v_received := (p ->> 'receivedAt')::timestamptz;
    -- Not the customer's provider: the sender's ids are unique within the company, over all providers.
    INSERT INTO webhook_event_keys (company_id, provider, account, provider_event_id, event_id, received_at)
      VALUES (v_company, 'signal', '', p ->> 'providerEventId', (p ->> 'eventId')::uuid, v_received)
      ON CONFLICT DO NOTHING;
    CONTINUE WHEN NOT FOUND;
    v_new := v_new || to_jsonb(p ->> 'providerEventId');

    v_customer_id := customer_named_by(p);
    v_reason := reason_to_set_aside(p, (v_left ->> v_customer_id)::integer);
    IF v_reason IS NOT NULL THEN
      INSERT INTO webhook_events (
          company_id, id, provider, account, provider_event_id, type, api_version, status, customer_id, occurred_at,
          received_at, error, payload
        ) VALUES (
          v_company, (p ->> 'eventId')::uuid, p ->> 'provider', p ->> 'account', p ->> 'providerEventId', p ->> 'type',
          p ->> 'apiVersion', 'dead', v_customer_id, (p ->> 'occurredAt')::timestamptz, v_received, v_reason,
          decode(p ->> 'payload', 'base64')
        );
      v_set_aside := v_set_aside || jsonb_build_object(p ->> 'providerEventId', v_reason);
      CONTINUE;
    END IF;
    IF v_left ? v_customer_id THEN
      v_left := v_left || jsonb_build_object(v_customer_id, (v_left ->> v_customer_id)::integer - 1);
    END IF;

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
  RETURN jsonb_build_object('new', v_new, 'setAside', v_set_aside, 'streams', coalesce((
    SELECT jsonb_agg(read_stream(c.key, NOT has_late_facts(c.key, c.value))) FROM jsonb_each(v_customers) AS c
  ), '[]'::jsonb));
END
$$;
--> statement-breakpoint
-- customer's whole stream; null when the customer is still unknown. A thin event gets its customer here, and is dead if
-- that customer has too many events; so is any event with too many links.
CREATE OR REPLACE FUNCTION replay_delivery(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_placed record;
  v_customer_id text;
  v_reason text;
BEGIN
  -- Only thin events have `customerEventsMax`. One that has a customer was counted before.
  IF p ? 'customerEventsMax' AND EXISTS (
    SELECT FROM webhook_events e
    WHERE e.company_id = app_company() AND e.id = (p ->> 'eventId')::uuid
      AND e.received_at = (p ->> 'receivedAt')::timestamptz AND e.customer_id IS NULL
  ) THEN
    v_customer_id := customer_named_by(p);
  END IF;
  v_reason := reason_to_set_aside(p, CASE WHEN v_customer_id IS NOT NULL THEN
    events_left(v_customer_id, (p ->> 'customerEventsMax')::integer, (p ->> 'receivedAt')::timestamptz)
  END);
  IF v_reason IS NOT NULL THEN
    UPDATE webhook_events e SET status = 'dead', error = v_reason, next_attempt_at = NULL, attempts = e.attempts + 1,
        customer_id = coalesce(e.customer_id, customer_named_by(p))
      WHERE e.company_id = app_company() AND e.id = (p ->> 'eventId')::uuid
        AND e.received_at = (p ->> 'receivedAt')::timestamptz;
    RETURN jsonb_build_object('setAside', v_reason);
  END IF;

  SELECT * INTO v_placed FROM place_facts(p);
  UPDATE webhook_events e SET subject = v_placed.subject, customer_id = v_placed.customer_id, error = p ->> 'error',
      -- Also an event without facts is unfinished until facts that were linked to their customer through it are folded.
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
-- they are linked to, whether it is a customer, and whether waiting objects were linked to a customer by this call.
-- `p_now` is the time of the link.
CREATE OR REPLACE FUNCTION tie_objects(p_provider text, p_customer text, p_objects text[], p_now timestamptz)
RETURNS TABLE (root text, is_customer boolean, has_joined boolean) LANGUAGE plpgsql AS $$
DECLARE
  v_company text := app_company();
  v_object text;
  v_link object_links;
  v_known text;
  v_waiting text[] := '{}';
  v_locked text[] := '{}';
  v_is_settled boolean;
  v_are_all_known boolean := p_customer IS NOT NULL;
BEGIN
  has_joined := false;
  FOREACH v_object IN ARRAY p_objects LOOP
    EXIT WHEN NOT v_are_all_known;
    SELECT * INTO v_link FROM object_links l
      WHERE l.company_id = v_company AND l.provider = p_provider AND l.object_id = v_object;
    v_are_all_known := FOUND AND v_link.is_customer;
  END LOOP;
  IF v_are_all_known THEN
    root := p_customer;
    is_customer := true;
    RETURN NEXT;
    RETURN;
  END IF;

  -- Deliveries that share an object or a root are serialized; others do not wait for each other. A link that was read
  -- before its lock was taken may have changed, so links are read again until there is nothing new to lock.
  LOOP
    v_known := NULL;
    v_waiting := '{}';
    FOREACH v_object IN ARRAY p_objects LOOP
      SELECT * INTO v_link FROM object_links l
        WHERE l.company_id = v_company AND l.provider = p_provider AND l.object_id = v_object;
      CONTINUE WHEN NOT FOUND;
      IF v_link.is_customer THEN
        v_known := least(v_known, v_link.root_id);
      ELSE
        v_waiting := v_waiting || v_link.root_id;
      END IF;
    END LOOP;
    v_is_settled := true;
    FOR v_object IN SELECT DISTINCT unnest(p_objects || v_waiting) EXCEPT SELECT unnest(v_locked) ORDER BY 1 LOOP
      PERFORM pg_advisory_xact_lock(hashtextextended(v_company || '|' || p_provider || '|' || v_object, 0));
      v_locked := v_locked || v_object;
      v_is_settled := false;
    END LOOP;
    EXIT WHEN v_is_settled;
  END LOOP;

  root := coalesce(p_customer, v_known, (SELECT min(w.id) FROM unnest(v_waiting) AS w (id)), p_objects[1]);
  is_customer := p_customer IS NOT NULL OR v_known IS NOT NULL;

  IF cardinality(v_waiting) > 0 THEN
    UPDATE object_links l SET root_id = root, is_customer = tie_objects.is_customer,
        linked_at = CASE WHEN tie_objects.is_customer THEN p_now END
      WHERE l.company_id = v_company AND l.provider = p_provider AND l.root_id = ANY (v_waiting) AND NOT l.is_customer;
    has_joined := is_customer;
  END IF;
  INSERT INTO object_links (company_id, provider, object_id, root_id, is_customer, created_at, linked_at)
    SELECT v_company, p_provider, o.id, root, tie_objects.is_customer, p_now,
      CASE WHEN tie_objects.is_customer THEN p_now END
    FROM (SELECT DISTINCT unnest(p_objects) AS id ORDER BY 1) AS o
    ON CONFLICT DO NOTHING;
  RETURN NEXT;
END
$$;
