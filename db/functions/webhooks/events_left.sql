-- Callers: churn_worker
-- How many more events of a customer may be processed, of `p_max` in the hour before `p_now`. Near the limit, transactions that record events of one customer are
-- serialized, so that each sees the events of those before it. Far from the limit they are not: if more than 50 events
-- of one customer are recorded at the same time, the limit is exceeded by at most the number beyond 50.
CREATE OR REPLACE FUNCTION events_left(p_customer_id text, p_max integer, p_now timestamptz) RETURNS integer
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  v_left integer;
BEGIN
  FOR v_look IN 1..2 LOOP
    SELECT p_max - count(*) INTO v_left FROM recent_events(app_company(), p_customer_id, p_max, p_now);
    EXIT WHEN v_look = 2 OR v_left <= 0 OR v_left > 50;
    PERFORM pg_advisory_xact_lock(hashtextextended('events|' || app_company() || '|' || p_customer_id, 0));
  END LOOP;
  RETURN v_left;
END
$$;
