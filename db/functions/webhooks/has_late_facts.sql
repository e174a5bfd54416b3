-- Callers: churn_worker
-- Whether one of these facts is before the position of the customer's snapshot, or there is no
-- snapshot: then the whole ledger must be read. STABLE, like read_stream: in one statement both see the same database
-- snapshot.
CREATE OR REPLACE FUNCTION has_late_facts(p_customer_id text, p_facts jsonb) RETURNS boolean LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  v_position jsonb;
BEGIN
  SELECT nullif(c.state -> 'position', 'null'::jsonb) INTO v_position
    FROM customers c WHERE c.company_id = app_company() AND c.id = p_customer_id;
  RETURN v_position IS NULL OR EXISTS (
    SELECT FROM jsonb_array_elements(p_facts) AS f
    WHERE ((f ->> 'occurredAt')::timestamptz, (f ->> 'rank')::smallint, f ->> 'id' COLLATE "C") <= (
      (v_position ->> 'occurredAt')::timestamptz, (v_position ->> 'rank')::smallint, v_position ->> 'id' COLLATE "C"
    )
  );
END
$$;
