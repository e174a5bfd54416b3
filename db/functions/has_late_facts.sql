-- Callers: churn_worker
-- Whether the customer's snapshot has moved past one of these facts, or there is none: then the whole ledger must be read.
-- STABLE, as read_stream is: called in one statement, both see one snapshot, and no commit can come between them.
CREATE OR REPLACE FUNCTION has_late_facts(p_customer_id text, p_facts jsonb) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
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
