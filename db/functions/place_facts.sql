-- Callers: churn_worker
-- Inserts a delivery's facts and links, each once, under the customer or, while the customer is
-- unknown, under the object. Also stores when the facts were recorded.
CREATE OR REPLACE FUNCTION place_facts(p jsonb) RETURNS TABLE (subject text, customer_id text, has_joined boolean)
LANGUAGE plpgsql AS $$
DECLARE
  v_company text := app_company();
  v_provider text := p ->> 'provider';
  v_received timestamptz := (p ->> 'receivedAt')::timestamptz;
  v_known timestamptz := coalesce((p ->> 'knownAt')::timestamptz, v_received);
  v_after timestamptz;
  v_objects text[] := ARRAY(SELECT jsonb_array_elements_text(p -> 'objects'));
  v_is_customer boolean := (p ->> 'customer') IS NOT NULL;
  v_link record;
BEGIN
  subject := coalesce(p ->> 'customer', v_objects[1]);
  has_joined := false;
  IF cardinality(v_objects) > 0 THEN
    SELECT * INTO v_link FROM tie_objects(v_provider, p ->> 'customer', v_objects, v_known);
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
    PERFORM pg_advisory_xact_lock_shared(knowledge_lock(customer_id));
    v_after := known_from(customer_id, v_known);
    IF v_after > v_known THEN
      UPDATE object_links l SET linked_at = v_after
        WHERE l.company_id = v_company AND l.provider = v_provider AND l.object_id = ANY (v_objects) AND l.is_customer
          AND l.linked_at = v_known;
      v_known := v_after;
    END IF;
  END IF;
  IF subject IS NOT NULL THEN
    INSERT INTO facts (
        company_id, id, provider, subject, kind, rank, occurred_at, recorded_at, known_at, event_id, body
      )
      SELECT v_company, f ->> 'id', v_provider, place_facts.subject, f -> 'body' ->> 'kind', (f ->> 'rank')::smallint,
        (f ->> 'occurredAt')::timestamptz, v_received, v_known, (p ->> 'eventId')::uuid, f -> 'body'
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
