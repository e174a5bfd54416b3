-- Callers: churn_worker
-- Only for Workers of the version before `commit_streams`, which may run while a deployment is in progress.
-- Raises CS001 unless the customer has the expected version. Locks the shared knowledge lock
-- first, then the row, in the same order as every writer.
CREATE OR REPLACE FUNCTION assert_version(p_customer_id text, p_expected integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_version integer;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(knowledge_lock(p_customer_id));
  SELECT c.version INTO v_version FROM customers c
    WHERE c.company_id = app_company() AND c.id = p_customer_id FOR UPDATE;
  IF v_version IS DISTINCT FROM p_expected THEN
    RAISE EXCEPTION 'the customer has another version' USING ERRCODE = 'CS001';
  END IF;
END
$$;
