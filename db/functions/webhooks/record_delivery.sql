-- Callers: churn_worker
-- Only for Workers of the version before `record_deliveries`, which may run while a deployment is in progress: one
-- delivery in JSON.
CREATE OR REPLACE FUNCTION record_delivery(p jsonb, p_payload bytea) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_objects text[] := ARRAY(SELECT jsonb_array_elements_text(p -> 'objects'));
  v_ids text[];
  v_ranks smallint[];
  v_times timestamptz[];
  v_bodies jsonb;
  v_recorded jsonb;
BEGIN
  SELECT array_agg(f.value ->> 'id'), array_agg((f.value ->> 'rank')::smallint),
      array_agg((f.value ->> 'occurredAt')::timestamptz), jsonb_agg(f.value -> 'body')
    INTO v_ids, v_ranks, v_times, v_bodies
    FROM jsonb_array_elements(p -> 'facts') AS f;
  v_recorded := record_deliveries(
    p ->> 'companyId', (p ->> 'customerEventsMax')::integer,
    ARRAY[(p ->> 'eventId')::uuid], ARRAY[p ->> 'provider'], ARRAY[p ->> 'account'], ARRAY[p ->> 'providerEventId'],
    ARRAY[p ->> 'type'], ARRAY[p ->> 'apiVersion'], ARRAY[p ->> 'status'], ARRAY[p ->> 'error'],
    ARRAY[(p ->> 'occurredAt')::timestamptz], ARRAY[(p ->> 'receivedAt')::timestamptz],
    ARRAY[coalesce((p ->> 'knownAt')::timestamptz, (p ->> 'receivedAt')::timestamptz)],
    ARRAY[(p ->> 'nextAttemptAt')::timestamptz], ARRAY[p ->> 'customer'], ARRAY[encode(p_payload, 'base64')],
    array_fill(1, ARRAY[cardinality(v_objects)]), v_objects,
    array_fill(1, ARRAY[coalesce(cardinality(v_ids), 0)]), v_ids, v_ranks, v_times, v_bodies
  )::jsonb;
  RETURN jsonb_strip_nulls(jsonb_build_object(
    'isNew', v_recorded #> '{outcomes,0,isNew}', 'setAside', v_recorded #> '{outcomes,0,setAside}'
  )) || CASE WHEN v_recorded -> 'streams' <> '[]' THEN jsonb_build_object('stream', v_recorded #> '{streams,0}') ELSE '{}' END;
END
$$;
