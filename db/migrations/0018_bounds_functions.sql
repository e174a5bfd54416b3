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
