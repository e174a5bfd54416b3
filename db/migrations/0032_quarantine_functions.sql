DROP FUNCTION is_flooded(jsonb);
--> statement-breakpoint
-- Our id of the customer of a delivery: the one it names, else the one its objects are linked to; null while nobody knows.
CREATE OR REPLACE FUNCTION customer_named_by(p jsonb) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT (p ->> 'provider') || '_' || coalesce(p ->> 'customer', (
    SELECT l.root_id FROM object_links l
    WHERE l.company_id = app_company() AND l.provider = p ->> 'provider' AND l.is_customer
      AND l.object_id IN (SELECT jsonb_array_elements_text(p -> 'objects'))
    ORDER BY l.root_id LIMIT 1
  ))
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION customer_named_by(jsonb) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION customer_named_by(jsonb) TO churn_worker;
--> statement-breakpoint
-- How many more events of a customer are processed in the hour before `p_now`, of `p_max`; imported events and those that were
-- set aside do not count. Near the limit, recorders of one customer take turns until their transactions end, so that each
-- sees the events of those before it. Before that they do not: where more than 50 events of one customer are recorded at
-- one moment, the limit is passed by at most as many as are beyond these 50.
CREATE OR REPLACE FUNCTION events_left(p_customer_id text, p_max integer, p_now timestamptz) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
  v_left integer;
BEGIN
  FOR v_look IN 1..2 LOOP
    SELECT p_max - count(*) INTO v_left FROM (
      SELECT FROM webhook_events e
      WHERE e.company_id = app_company() AND e.customer_id = p_customer_id AND e.status <> 'dead'
        AND e.provider_event_id NOT LIKE 'history\_%' AND e.received_at > p_now - interval '1 hour'
      LIMIT p_max
    ) AS recent;
    EXIT WHEN v_look = 2 OR v_left <= 0 OR v_left > 50;
    PERFORM pg_advisory_xact_lock(hashtextextended('events|' || app_company() || '|' || p_customer_id, 0));
  END LOOP;
  RETURN v_left;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION events_left(text, integer, timestamptz) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION events_left(text, integer, timestamptz) TO churn_worker;
--> statement-breakpoint
-- Whether a delivery would link a new object to a customer, or to an object whose customer is unknown, that has 10 000 links
-- already. Those under all roots that the delivery brings together count.
CREATE OR REPLACE FUNCTION has_too_many_links(p jsonb) RETURNS boolean LANGUAGE sql STABLE AS $$
  WITH objects AS MATERIALIZED (SELECT DISTINCT jsonb_array_elements_text(p -> 'objects') AS id),
  known AS MATERIALIZED (
    SELECT l.root_id, l.is_customer FROM objects o JOIN object_links l
      ON l.company_id = app_company() AND l.provider = p ->> 'provider' AND l.object_id = o.id
  ),
  roots AS (
    SELECT k.root_id, k.is_customer FROM known k
    UNION SELECT p ->> 'customer', true WHERE p ->> 'customer' IS NOT NULL
  )
  SELECT (SELECT count(*) FROM objects) > (SELECT count(*) FROM known k WHERE k.is_customer)
    AND (SELECT coalesce(sum(n.links), 0) FROM roots r CROSS JOIN LATERAL (
      SELECT count(*) AS links FROM (
        SELECT FROM object_links l
        WHERE l.company_id = app_company() AND l.provider = p ->> 'provider' AND l.root_id = r.root_id
          AND l.is_customer = r.is_customer
        LIMIT 10000
      ) AS counted
    ) AS n) >= 10000
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION has_too_many_links(jsonb) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION has_too_many_links(jsonb) TO churn_worker;
--> statement-breakpoint
-- Puts a customer into quarantine for 24 hours from now on, or keeps one there. A quarantine that has ended begins anew, and is
-- announced anew. Written at most once an hour, so that a flood does not write the row with every event.
CREATE OR REPLACE FUNCTION quarantine(p_customer_id text, p_reason text, p_now timestamptz) RETURNS void LANGUAGE sql AS $$
  INSERT INTO customer_quarantines AS q (company_id, customer_id, reason, since, ends_at)
    VALUES (app_company(), p_customer_id, p_reason, p_now, p_now + interval '24 hours')
    ON CONFLICT (company_id, customer_id) DO UPDATE SET
      reason = CASE WHEN q.ends_at <= p_now THEN p_reason ELSE q.reason END,
      since = CASE WHEN q.ends_at <= p_now THEN p_now ELSE q.since END,
      announced_at = CASE WHEN q.ends_at <= p_now THEN NULL ELSE q.announced_at END,
      ends_at = p_now + interval '24 hours'
      WHERE q.ends_at < p_now + interval '23 hours'
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION quarantine(text, text, timestamptz) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION quarantine(text, text, timestamptz) TO churn_worker;
--> statement-breakpoint
-- Customers whose quarantine the team has not been told of, the oldest first, over all companies: of `p_companies` only,
-- unless that is null.
CREATE OR REPLACE FUNCTION quarantines_to_announce(p_now timestamptz, p_limit integer, p_companies text[])
RETURNS TABLE (company_id text, customer_id text, reason text, since timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT q.company_id, q.customer_id, q.reason, q.since FROM public.customer_quarantines q
    WHERE q.announced_at IS NULL AND q.ends_at > p_now AND (p_companies IS NULL OR q.company_id = ANY (p_companies))
    ORDER BY q.since, q.company_id, q.customer_id LIMIT p_limit
$$;
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_system TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_system;
  ALTER FUNCTION quarantines_to_announce(timestamptz, integer, text[]) OWNER TO churn_system;
  REVOKE CREATE ON SCHEMA public FROM churn_system;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION quarantines_to_announce(timestamptz, integer, text[]) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION quarantines_to_announce(timestamptz, integer, text[]) TO churn_worker;
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
          ) ORDER BY t.id) FROM told t WHERE t.customer_id = s.customer_id
        ), '[]')
      ) ORDER BY s.customer_id)
      FROM shared s LEFT JOIN latest l ON l.id = s.customer_id
      WHERE l.id IS NOT NULL OR EXISTS (SELECT FROM told t WHERE t.customer_id = s.customer_id)
    ), '[]')
  )
$$;
--> statement-breakpoint
-- Why an event is kept and not processed; null: it is processed. `p_events_left`: how many more events of its customer are
-- processed within the hour; null where there is no such limit. Beyond a limit the customer is put into quarantine.
CREATE OR REPLACE FUNCTION reason_to_set_aside(p jsonb, p_events_left integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_customer_id text := customer_named_by(p);
  v_reason text := CASE
    WHEN v_customer_id IS NOT NULL AND p_events_left <= 0 THEN 'customer_flood'
    WHEN has_too_many_links(p) THEN 'too_many_links'
  END;
BEGIN
  IF v_reason IS NOT NULL AND v_customer_id IS NOT NULL THEN
    PERFORM quarantine(v_customer_id, v_reason, coalesce((p ->> 'knownAt')::timestamptz, (p ->> 'receivedAt')::timestamptz));
  END IF;
  RETURN v_reason;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION reason_to_set_aside(jsonb, integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION reason_to_set_aside(jsonb, integer) TO churn_worker;
--> statement-breakpoint
-- Records one delivery and reads the customer's stream, in one round trip. Of any number of the same delivery, one is
-- new; the others change nothing. The event, its facts and its links are written together or not at all.
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
    -- Kept, and left to a person: no facts and no links, so that the customer costs nothing until somebody replays it.
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
-- Records a page of imported events, each once for good as record_delivery does, and reads the streams of the customers
-- that have something new to fold: one round trip for the page. What was new and what was known is counted in the same
-- transaction, so that a page that was walked twice is counted once. Each element of `p_events` is a delivery with its
-- sealed payload in base64; the company is set by the caller.
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
  -- All at once and in one order, so that pages and webhooks that share objects wait for each other and never in a circle.
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
    -- A past may be long, so there is no limit in time; links are bounded all the same.
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
      -- It says nothing itself, but facts that had waited have found their customer through it.
      IF v_placed.has_joined THEN v_status := 'received'; END IF;
    END IF;
    -- Nothing to fold before somebody names the customer; the facts wait in the ledger.
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
DROP FUNCTION record_pending(jsonb, bytea);
--> statement-breakpoint
-- Records an event that only names what it is about: it stays unfinished until its provider was asked, by whoever took it
-- or else by the sweeper, and gets its customer and its facts then. One whose object is linked to a customer with too many
-- events is set aside at once; where the customer is not known yet, that is judged when they are (`replay_delivery`).
CREATE OR REPLACE FUNCTION record_pending(p jsonb, p_payload bytea) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_company text := p ->> 'companyId';
  v_received timestamptz := (p ->> 'receivedAt')::timestamptz;
  v_status text := p ->> 'status';
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
  IF v_status = 'received' AND v_customer_id IS NOT NULL THEN
    v_reason := reason_to_set_aside(p, events_left(v_customer_id, (p ->> 'customerEventsMax')::integer, v_received));
    IF v_reason IS NOT NULL THEN v_status := 'dead'; END IF;
  END IF;
  INSERT INTO webhook_events (
      company_id, id, provider, account, provider_event_id, type, api_version, status, customer_id, occurred_at,
      received_at, next_attempt_at, error, payload
    ) VALUES (
      v_company, (p ->> 'eventId')::uuid, p ->> 'provider', p ->> 'account', p ->> 'providerEventId', p ->> 'type',
      p ->> 'apiVersion', v_status, v_customer_id, (p ->> 'occurredAt')::timestamptz, v_received,
      CASE WHEN v_status = 'received' THEN (p ->> 'nextAttemptAt')::timestamptz END, v_reason, p_payload
    );
  RETURN jsonb_build_object('isNew', true, 'setAside', v_reason);
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION record_pending(jsonb, bytea) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION record_pending(jsonb, bytea) TO churn_worker;
--> statement-breakpoint
-- Records a batch of what a company itself tells of its customers: use, and support tickets. Each is an event like a
-- webhook, written once for good under the sender's own id, whoever the customer is; an id that is there already changes
-- nothing. Answers which were new, which of those are kept and not processed, with the reason, and the streams of the
-- customers that have something to fold: one round trip, one transaction. Each element of `p_events` is a delivery with its
-- sealed payload in base64; the company is set by the caller.
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
  -- How many more events of each customer are processed.
  v_left jsonb := '{}';
  v_reason text;
  v_set_aside jsonb := '{}';
BEGIN
  -- All customers first and in one order, because `events_left` may lock.
  FOR v_customer_id IN
    SELECT DISTINCT customer_named_by(e) COLLATE "C" FROM jsonb_array_elements(p_events) AS e
      WHERE e ->> 'status' = 'received' ORDER BY 1
  LOOP
    v_left := v_left || jsonb_build_object(v_customer_id, events_left(
      v_customer_id, (p_events -> 0 ->> 'customerEventsMax')::integer, (p_events -> 0 ->> 'receivedAt')::timestamptz
    ));
  END LOOP;

  -- In one order, so that batches that share ids wait for each other and never in a circle.
  FOR p IN SELECT e FROM jsonb_array_elements(p_events) AS e ORDER BY e ->> 'providerEventId' COLLATE "C" LOOP
    v_received := (p ->> 'receivedAt')::timestamptz;
    -- Not the customer's provider: the sender's ids are the company's, over all providers.
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
-- Ends a customer's quarantine, and lets the messages go that waited for its end. False: the customer is in none.
CREATE OR REPLACE FUNCTION release_quarantine(p_customer_id text, p_now timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  UPDATE customer_quarantines q SET ends_at = p_now
    WHERE q.company_id = app_company() AND q.customer_id = p_customer_id AND q.ends_at > p_now;
  IF NOT FOUND THEN RETURN false; END IF;
  UPDATE nudges n SET due_at = p_now, reason = NULL
    WHERE n.company_id = app_company() AND n.customer_id = p_customer_id AND n.status = 'planned'
      AND n.reason = 'quarantined';
  RETURN true;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION release_quarantine(text, timestamptz) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION release_quarantine(text, timestamptz) TO churn_worker;
--> statement-breakpoint
-- Reads an event that is there already once more: facts that a newer reading finds in it are added, and the customer's
-- whole stream is answered; null when it still names nobody. A thin event has its customer here for the first time, and is
-- set aside where that customer has too many events; so is any event that brings too many links.
CREATE OR REPLACE FUNCTION replay_delivery(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_placed record;
  v_customer_id text;
  v_reason text;
BEGIN
  -- `customerEventsMax` comes with thin events. One that has a customer was counted before.
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
-- Counts of due and overdue nudges and of unprocessed events over all companies. A replayed event waits since its replay.
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
    'quarantined', (SELECT count(*) FROM (
      SELECT FROM public.customer_quarantines WHERE ends_at > p_now LIMIT 10000) AS q),
    'held', (SELECT count(*) FROM (SELECT FROM public.webhook_events WHERE status = 'held' LIMIT 10000) AS h),
    'unmapped', (SELECT count(*) FROM (SELECT FROM public.unmapped_events LIMIT 10000) AS u),
    'oldestPendingAt', (
      SELECT min(coalesce(replayed_at, received_at)) FROM public.webhook_events WHERE status IN ('received', 'failed'))
  )
$$;
