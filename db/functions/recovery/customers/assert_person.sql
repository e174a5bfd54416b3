-- Callers: churn_worker
-- Only for Workers of the version before `commit_streams`, which may run while a deployment is in progress.
-- Raises CS001 unless the customers that share an address with this one are unchanged since they
-- were read. Until the end of the transaction every other sender to the same person waits: of two messages decided at
-- the same time, the second is decided again. There is one lock per address, always taken in the same order, after the
-- customer's own row.
CREATE OR REPLACE FUNCTION assert_person(p_customer_id text, p_mark text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_lock bigint;
BEGIN
  FOR v_lock IN
    SELECT DISTINCT hashtextextended('person|' || a.company_id || '|' || a.kind || '|' || encode(a.address, 'hex'), 0)
      FROM customer_addresses a WHERE a.company_id = app_company() AND a.customer_id = p_customer_id
      ORDER BY 1
  LOOP
    PERFORM pg_advisory_xact_lock(v_lock);
  END LOOP;
  -- A separate statement, so that it sees what was committed while the locks were awaited.
  IF person_mark(p_customer_id) IS DISTINCT FROM p_mark THEN
    RAISE EXCEPTION 'another customer of the person has changed' USING ERRCODE = 'CS001';
  END IF;
END
$$;
