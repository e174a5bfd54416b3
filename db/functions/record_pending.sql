-- Callers: churn_worker
-- Records an event that only names what it is about: it stays unfinished until its provider was asked, by whoever took it
-- or else by the sweeper, and gets its customer and its facts then. True when it is new.
CREATE OR REPLACE FUNCTION record_pending(p jsonb, p_payload bytea) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_company text := p ->> 'companyId';
  v_received timestamptz := (p ->> 'receivedAt')::timestamptz;
  v_status text := p ->> 'status';
BEGIN
  PERFORM set_config('app.company_id', v_company, true);

  INSERT INTO webhook_event_keys (company_id, provider, account, provider_event_id, event_id, received_at)
    VALUES (
      v_company, p ->> 'provider', p ->> 'account', p ->> 'providerEventId', (p ->> 'eventId')::uuid, v_received
    )
    ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  INSERT INTO webhook_events (
      company_id, id, provider, account, provider_event_id, type, api_version, status, occurred_at, received_at,
      next_attempt_at, payload
    ) VALUES (
      v_company, (p ->> 'eventId')::uuid, p ->> 'provider', p ->> 'account', p ->> 'providerEventId', p ->> 'type',
      p ->> 'apiVersion', v_status, (p ->> 'occurredAt')::timestamptz, v_received,
      CASE WHEN v_status = 'received' THEN (p ->> 'nextAttemptAt')::timestamptz END, p_payload
    );
  RETURN true;
END
$$;
