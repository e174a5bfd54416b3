-- Callers: churn_worker
-- Records a batch of signals that a company sends about its customers: usage, and support
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
