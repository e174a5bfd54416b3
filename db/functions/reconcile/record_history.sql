-- Callers: churn_worker
-- Records a page of imported events, each at most once as in record_delivery, and reads the
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
