-- Callers: churn_worker
-- A further page of a customer's facts, after `p_after`, in the form of `ledger_page`. Raises
-- CS001 when the customer no longer has the version of the first page: pages of two versions must not be combined, and
-- the caller reads again.
CREATE OR REPLACE FUNCTION read_facts(p_customer_id text, p_version integer, p_is_whole boolean, p_after jsonb)
RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_customer customers;
BEGIN
  SELECT * INTO v_customer FROM customers c WHERE c.company_id = app_company() AND c.id = p_customer_id;
  IF v_customer.version IS DISTINCT FROM p_version THEN
    RAISE EXCEPTION 'the customer has another version' USING ERRCODE = 'CS001';
  END IF;
  RETURN ledger_page(v_customer, p_is_whole, p_after, NULL);
END
$$;
