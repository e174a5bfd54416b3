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
