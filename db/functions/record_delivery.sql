-- Callers: churn_worker
-- Records one delivery and reads the customer's stream, in one round trip. Only the first of
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
