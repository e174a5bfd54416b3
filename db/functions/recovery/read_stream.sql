-- Callers: churn_worker
-- `read_streams` of one customer; null when there is none. `p_after_snapshot`: only the facts that the snapshot does not
-- contain yet.
CREATE OR REPLACE FUNCTION read_stream(p_customer_id text, p_after_snapshot boolean) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN read_streams(
    ARRAY[p_customer_id], ARRAY[NOT p_after_snapshot], ARRAY[NULL::timestamptz], ARRAY[NULL::smallint], ARRAY[NULL]
  )::jsonb -> 0;
END
$$;
