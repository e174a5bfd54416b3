-- Callers: churn_worker
-- `place_deliveries` for one delivery in JSON.
CREATE OR REPLACE FUNCTION place_facts(p jsonb) RETURNS TABLE (subject text, customer_id text, has_joined boolean)
LANGUAGE plpgsql AS $$
DECLARE
  v_received timestamptz := (p ->> 'receivedAt')::timestamptz;
  v_objects text[] := ARRAY(SELECT jsonb_array_elements_text(p -> 'objects'));
  v_ids text[];
  v_ranks smallint[];
  v_times timestamptz[];
  v_bodies jsonb;
BEGIN
  SELECT array_agg(f.value ->> 'id'), array_agg((f.value ->> 'rank')::smallint),
      array_agg((f.value ->> 'occurredAt')::timestamptz), jsonb_agg(f.value -> 'body')
    INTO v_ids, v_ranks, v_times, v_bodies
    FROM jsonb_array_elements(p -> 'facts') AS f;
  RETURN QUERY SELECT f.subject, f.customer_id, f.has_joined FROM place_deliveries(
    ARRAY[1], ARRAY[(p ->> 'eventId')::uuid], ARRAY[p ->> 'provider'], ARRAY[p ->> 'customer'], ARRAY[v_received],
    ARRAY[coalesce((p ->> 'knownAt')::timestamptz, v_received)], array_fill(1, ARRAY[cardinality(v_objects)]), v_objects,
    array_fill(1, ARRAY[coalesce(cardinality(v_ids), 0)]), v_ids, v_ranks, v_times, v_bodies
  ) AS f;
END
$$;
