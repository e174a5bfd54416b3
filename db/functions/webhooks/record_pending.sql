-- Callers: churn_worker
-- Records a thin event: it stays unfinished until its object is fetched from the provider, by the
-- request that received it or else by the sweep, and gets its customer and its facts then. If its object is linked to a
-- customer with too many events, it is dead at once; if the customer is not known yet, that is checked later
-- (`replay_delivery`).
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
