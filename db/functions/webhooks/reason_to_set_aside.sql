-- Callers: churn_worker
-- Why an event is stored and not processed; null: it is processed. `p_events_left`: how many more
-- events of its customer may be processed within the hour; null without such a limit. Over a limit the customer is put
-- into quarantine.
CREATE OR REPLACE FUNCTION reason_to_set_aside(p jsonb, p_events_left integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_customer_id text := customer_named_by(p);
  v_reason text := CASE
    WHEN v_customer_id IS NOT NULL AND p_events_left <= 0 THEN 'customer_flood'
    WHEN has_too_many_links(p) THEN 'too_many_links'
  END;
BEGIN
  IF v_reason IS NOT NULL AND v_customer_id IS NOT NULL THEN
    PERFORM quarantine(v_customer_id, v_reason, coalesce((p ->> 'knownAt')::timestamptz, (p ->> 'receivedAt')::timestamptz));
  END IF;
  RETURN v_reason;
END
$$;
