-- The one round trip of a webhook, the reading of a customer's ledger, and the guards of a commit.

-- Ties objects to a customer, or to each other while nobody has named the customer. Answers the root they stand under
-- now, whether it is a customer, and whether objects that had been waiting came under it by this call. Each object is
-- looked up by the whole primary key, so that no plan, however fresh the table, reads more than it needs.
CREATE FUNCTION tie_objects(p_provider text, p_customer text, p_objects text[], p_now timestamptz)
RETURNS TABLE (root text, is_customer boolean, has_joined boolean) LANGUAGE plpgsql AS $$
DECLARE
  v_company text := app_company();
  v_object text;
  v_link object_links;
  v_known text;
  v_waiting text[] := '{}';
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

  -- Two deliveries that share an object take turns; those that share none do not wait for each other.
  FOR v_object IN SELECT DISTINCT unnest(p_objects) ORDER BY 1 LOOP
    PERFORM pg_advisory_xact_lock(hashtextextended(v_company || '|' || p_provider || '|' || v_object, 0));
  END LOOP;
  FOR v_object IN SELECT DISTINCT unnest(p_objects) ORDER BY 1 LOOP
    SELECT * INTO v_link FROM object_links l
      WHERE l.company_id = v_company AND l.provider = p_provider AND l.object_id = v_object;
    CONTINUE WHEN NOT FOUND;
    IF v_link.is_customer THEN
      v_known := least(v_known, v_link.root_id);
    ELSE
      v_waiting := v_waiting || v_link.root_id;
    END IF;
  END LOOP;

  root := coalesce(p_customer, v_known, (SELECT min(w.id) FROM unnest(v_waiting) AS w (id)), p_objects[1]);
  is_customer := p_customer IS NOT NULL OR v_known IS NOT NULL;

  IF cardinality(v_waiting) > 0 THEN
    UPDATE object_links l SET root_id = root, is_customer = tie_objects.is_customer
      WHERE l.company_id = v_company AND l.provider = p_provider AND l.root_id = ANY (v_waiting) AND NOT l.is_customer;
    has_joined := is_customer;
  END IF;
  INSERT INTO object_links (company_id, provider, object_id, root_id, is_customer, created_at)
    SELECT v_company, p_provider, o.id, root, tie_objects.is_customer, p_now
    FROM (SELECT DISTINCT unnest(p_objects) AS id ORDER BY 1) AS o
    ON CONFLICT DO NOTHING;
  RETURN NEXT;
END
$$;
--> statement-breakpoint
-- Everything that folding and deciding needs of one customer. `p_after_snapshot`: only the facts that the snapshot does
-- not have yet; otherwise the whole ledger, with the facts of all objects that came to belong to the customer.
CREATE FUNCTION read_stream(p_customer_id text, p_after_snapshot boolean) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
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
        );
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
      FROM nudges n WHERE n.company_id = v_company AND n.customer_id = v_customer.id
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
-- Writes a delivery's facts and links, each once, under the customer or, while nobody has named one, under the object.
CREATE FUNCTION place_facts(p jsonb) RETURNS TABLE (subject text, customer_id text, has_joined boolean)
LANGUAGE plpgsql AS $$
DECLARE
  v_company text := app_company();
  v_provider text := p ->> 'provider';
  v_received timestamptz := (p ->> 'receivedAt')::timestamptz;
  v_objects text[] := ARRAY(SELECT jsonb_array_elements_text(p -> 'objects'));
  v_is_customer boolean := (p ->> 'customer') IS NOT NULL;
  v_link record;
BEGIN
  subject := coalesce(p ->> 'customer', v_objects[1]);
  has_joined := false;
  IF cardinality(v_objects) > 0 THEN
    SELECT * INTO v_link FROM tie_objects(v_provider, p ->> 'customer', v_objects, v_received);
    IF v_link.is_customer THEN
      subject := v_link.root;
      v_is_customer := true;
      has_joined := v_link.has_joined;
    END IF;
  END IF;
  IF v_is_customer THEN
    customer_id := v_provider || '_' || subject;
    INSERT INTO customers (company_id, id, provider, provider_customer_id, created_at, updated_at)
      VALUES (v_company, customer_id, v_provider, subject, v_received, v_received)
      ON CONFLICT DO NOTHING;
  END IF;
  IF subject IS NOT NULL THEN
    INSERT INTO facts (company_id, id, provider, subject, kind, rank, occurred_at, recorded_at, event_id, body)
      SELECT v_company, f ->> 'id', v_provider, place_facts.subject, f -> 'body' ->> 'kind', (f ->> 'rank')::smallint,
        (f ->> 'occurredAt')::timestamptz, v_received, (p ->> 'eventId')::uuid, f -> 'body'
      FROM jsonb_array_elements(p -> 'facts') AS f
      ON CONFLICT DO NOTHING;
  END IF;
  IF NOT v_is_customer AND subject IS NOT NULL THEN
    UPDATE object_links l SET holds_facts = true
      WHERE l.company_id = v_company AND l.provider = v_provider AND l.object_id = place_facts.subject;
  END IF;
  RETURN NEXT;
END
$$;
--> statement-breakpoint
-- Records one delivery and reads the customer's stream, in one round trip. Of any number of the same delivery, one is
-- new; the others change nothing. The event, its facts and its links are written together or not at all.
CREATE FUNCTION record_delivery(p jsonb, p_payload bytea) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_company text := p ->> 'companyId';
  v_received timestamptz := (p ->> 'receivedAt')::timestamptz;
  v_status text := p ->> 'status';
  v_placed record;
  v_position jsonb;
  v_is_late boolean;
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

  SELECT nullif(c.state -> 'position', 'null'::jsonb) INTO v_position
    FROM customers c WHERE c.company_id = v_company AND c.id = v_placed.customer_id;
  v_is_late := v_placed.has_joined OR v_position IS NULL OR EXISTS (
    SELECT FROM jsonb_array_elements(p -> 'facts') AS f
    WHERE ((f ->> 'occurredAt')::timestamptz, (f ->> 'rank')::smallint, f ->> 'id' COLLATE "C") <= (
      (v_position ->> 'occurredAt')::timestamptz, (v_position ->> 'rank')::smallint, v_position ->> 'id' COLLATE "C"
    )
  );
  RETURN jsonb_build_object('isNew', true, 'stream', read_stream(v_placed.customer_id, NOT v_is_late));
END
$$;
--> statement-breakpoint
-- Reads an event that is there already once more: facts that a newer reading finds in it are added, and the customer's
-- whole stream is answered; null when it still names nobody.
CREATE FUNCTION replay_delivery(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_placed record;
BEGIN
  SELECT * INTO v_placed FROM place_facts(p);
  UPDATE webhook_events e SET subject = v_placed.subject, customer_id = v_placed.customer_id, error = p ->> 'error',
      status = CASE
        WHEN v_placed.customer_id IS NULL OR p ->> 'status' = 'unhandled' THEN p ->> 'status' ELSE 'received' END,
      attempts = e.attempts + 1, next_attempt_at = (p ->> 'nextAttemptAt')::timestamptz
    WHERE e.company_id = app_company() AND e.id = (p ->> 'eventId')::uuid
      AND e.received_at = (p ->> 'receivedAt')::timestamptz;
  RETURN CASE WHEN v_placed.customer_id IS NOT NULL THEN read_stream(v_placed.customer_id, false) END;
END
$$;
--> statement-breakpoint
-- Raises CS001 when the customer has moved on since it was read; else holds it until the end of the transaction.
CREATE FUNCTION assert_version(p_customer_id text, p_expected integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_version integer;
BEGIN
  SELECT c.version INTO v_version FROM customers c
    WHERE c.company_id = app_company() AND c.id = p_customer_id FOR UPDATE;
  IF v_version IS DISTINCT FROM p_expected THEN
    RAISE EXCEPTION 'customer has moved on' USING ERRCODE = 'CS001';
  END IF;
END
$$;
--> statement-breakpoint
-- Takes one nudge that is due, for `p_owner`: free, lost by its last worker, or handed over by the dispatcher. Answers the
-- customer's stream as it is now; null when there is nothing to take.
CREATE FUNCTION claim_nudge(p_id text, p_dispatcher text, p_owner text, p_now timestamptz, p_until timestamptz)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_customer_id text;
BEGIN
  UPDATE nudges n SET lease_owner = p_owner, lease_until = p_until
    WHERE n.company_id = app_company() AND n.id = p_id AND n.status IN ('planned', 'sending') AND n.due_at <= p_now
      AND (n.lease_until IS NULL OR n.lease_until <= p_now OR n.lease_owner = p_dispatcher)
    RETURNING n.customer_id INTO v_customer_id;
  RETURN CASE WHEN v_customer_id IS NOT NULL THEN read_stream(v_customer_id, false) END;
END
$$;
--> statement-breakpoint
-- Raises CS002 unless the nudge is still claimed by this owner and may be sent.
CREATE FUNCTION assert_lease(p_nudge_id text, p_owner text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM nudges n
    WHERE n.company_id = app_company() AND n.id = p_nudge_id AND n.lease_owner = p_owner
      AND n.status IN ('planned', 'sending')
    FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'nudge is not claimed by this worker' USING ERRCODE = 'CS002';
  END IF;
END
$$;
--> statement-breakpoint
-- The functions below look across tenants. They show ids and counts, and belong to a role that can see no more.

-- The company that a delivery belongs to: named in the path, else by the provider's account. Null: unknown.
CREATE FUNCTION company_of(p_path text, p_provider text, p_account text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT CASE WHEN p_path IS NOT NULL
    THEN (SELECT c.id FROM companies c WHERE c.id = p_path)
    ELSE (SELECT a.company_id FROM company_accounts a WHERE a.provider = p_provider AND a.account_id = p_account)
  END
$$;
--> statement-breakpoint
-- Whose key this is; nothing when it is unknown or revoked.
CREATE FUNCTION find_api_key(p_hash bytea) RETURNS TABLE (company_id text, id text, role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT k.company_id, k.id, k.role FROM api_keys k WHERE k.hash = p_hash AND k.revoked_at IS NULL
$$;
--> statement-breakpoint
-- Takes due nudges for `p_owner` until `p_until`, each by one worker at most. A nudge in `sending` whose lease has run out
-- is taken too: its worker was lost on the way.
CREATE FUNCTION claim_due_nudges(
  p_now timestamptz, p_due_before timestamptz, p_owner text, p_until timestamptz, p_limit integer
)
RETURNS TABLE (company_id text, id text)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  UPDATE nudges n SET lease_owner = p_owner, lease_until = p_until
  FROM (
    SELECT d.company_id, d.id FROM nudges d
    WHERE d.status IN ('planned', 'sending') AND d.due_at <= p_due_before AND (d.lease_until IS NULL OR d.lease_until <= p_now)
    ORDER BY d.due_at LIMIT p_limit
    FOR UPDATE SKIP LOCKED
  ) AS due
  WHERE n.company_id = due.company_id AND n.id = due.id
  RETURNING n.company_id, n.id
$$;
--> statement-breakpoint
-- Events that were recorded but not finished, oldest try first.
CREATE FUNCTION unfinished_events(p_now timestamptz, p_limit integer) RETURNS TABLE (company_id text, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT e.company_id, e.id FROM webhook_events e
  WHERE e.status IN ('received', 'failed', 'held') AND (e.next_attempt_at IS NULL OR e.next_attempt_at <= p_now)
  ORDER BY e.next_attempt_at NULLS FIRST, e.received_at LIMIT p_limit
$$;
--> statement-breakpoint
-- Objects that have waited for their customer since before `p_before`: those never asked about first, the others again after
-- as long as they had waited then, and none for more than two weeks (a guest's payment has no customer at all).
CREATE FUNCTION waiting_objects(p_before timestamptz, p_limit integer)
RETURNS TABLE (company_id text, provider text, object_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT l.company_id, l.provider, l.object_id FROM object_links l
  WHERE NOT l.is_customer AND l.created_at <= p_before AND l.created_at > p_before - interval '14 days'
    AND (l.asked_at IS NULL OR l.asked_at + (l.asked_at - l.created_at) <= p_before)
  ORDER BY l.asked_at NULLS FIRST, l.created_at LIMIT p_limit
$$;
--> statement-breakpoint
-- What monitors ask of the scheduler and of the webhooks; counts stop at 10 000 so that a backlog cannot slow them.
CREATE FUNCTION work_in_hand(p_now timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT jsonb_build_object(
    'due', (SELECT count(*) FROM (
      SELECT FROM nudges WHERE status IN ('planned', 'sending') AND due_at <= p_now LIMIT 10000) AS d),
    'overdue', (SELECT count(*) FROM (
      SELECT FROM nudges WHERE status IN ('planned', 'sending') AND due_at <= p_now - interval '1 hour' LIMIT 10000) AS o),
    'leased', (SELECT count(*) FROM (
      SELECT FROM nudges WHERE status IN ('planned', 'sending') AND due_at <= p_now AND lease_until > p_now LIMIT 10000) AS l),
    'nextDueAt', least(
      (SELECT min(due_at) FROM nudges WHERE status IN ('planned', 'sending') AND due_at > p_now),
      (SELECT min(greatest(due_at, lease_until, p_now)) FROM (
        SELECT due_at, lease_until FROM nudges WHERE status IN ('planned', 'sending') AND due_at <= p_now LIMIT 10000) AS n)
    ),
    'pending', (SELECT count(*) FROM (
      SELECT FROM webhook_events WHERE status IN ('received', 'failed') LIMIT 10000) AS r),
    'held', (SELECT count(*) FROM (SELECT FROM webhook_events WHERE status = 'held' LIMIT 10000) AS h),
    'oldestPendingAt', (SELECT min(received_at) FROM webhook_events WHERE status IN ('received', 'failed'))
  )
$$;
--> statement-breakpoint
-- Partitions for this month and the ones ahead, so that rows seldom fall into the default partition. It runs as the owner
-- of the tables; a partition has row-level security without a policy, so that it can be reached through its parent only.
CREATE FUNCTION ensure_partitions(p_now timestamptz, p_months_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
  v_table text;
  v_name text;
  v_from date;
  v_made integer := 0;
BEGIN
  -- Both heartbeats of the scheduler call this in the same second; the second finds everything made.
  PERFORM pg_advisory_xact_lock(hashtextextended('ensure_partitions', 0));
  FOREACH v_table IN ARRAY ARRAY['webhook_events', 'facts'] LOOP
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
ALTER TABLE webhook_events_default ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE webhook_events_default FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE facts_default ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE facts_default FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
SELECT ensure_partitions(now(), 2);
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_system TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_system;
  ALTER FUNCTION company_of(text, text, text) OWNER TO churn_system;
  ALTER FUNCTION find_api_key(bytea) OWNER TO churn_system;
  ALTER FUNCTION claim_due_nudges(timestamptz, timestamptz, text, timestamptz, integer) OWNER TO churn_system;
  ALTER FUNCTION unfinished_events(timestamptz, integer) OWNER TO churn_system;
  ALTER FUNCTION waiting_objects(timestamptz, integer) OWNER TO churn_system;
  ALTER FUNCTION work_in_hand(timestamptz) OWNER TO churn_system;
  REVOKE CREATE ON SCHEMA public FROM churn_system;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION app_company() TO churn_worker, churn_system;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION
  tie_objects(text, text, text[], timestamptz), place_facts(jsonb), read_stream(text, boolean),
  record_delivery(jsonb, bytea), replay_delivery(jsonb),
  assert_version(text, integer), assert_lease(text, text),
  claim_nudge(text, text, text, timestamptz, timestamptz), company_of(text, text, text), find_api_key(bytea),
  claim_due_nudges(timestamptz, timestamptz, text, timestamptz, integer), unfinished_events(timestamptz, integer),
  waiting_objects(timestamptz, integer), work_in_hand(timestamptz), ensure_partitions(timestamptz, integer)
TO churn_worker;
