-- Callers: churn_worker
-- Raises CS001 unless the customers who share an address with this one are as they were read, and keeps every other sender
-- to the same person waiting until the end of the transaction: of two messages decided at once, the second is decided
-- again. The locks are one for each address, taken in one order by everybody, after the customer's own row.
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
  -- A statement of its own, so that it sees what was committed while this one waited.
  IF person_mark(p_customer_id) IS DISTINCT FROM p_mark THEN
    RAISE EXCEPTION 'another customer of the person has moved on' USING ERRCODE = 'CS001';
  END IF;
END
$$;
