-- Callers: churn_worker
-- The ledgers of customers in order of ids, about `p_limit` facts in total: the last one returned
-- may continue at `next`, and the customers after it are not returned. `p_after` is the `next` of the first customer,
-- whose earlier facts were read before.
CREATE OR REPLACE FUNCTION read_ledgers(p_customers text[], p_after jsonb, p_limit integer)
RETURNS TABLE (customer_id text, facts json, next json) LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_customer customers;
  v_after jsonb := p_after;
  v_left integer := p_limit;
  v_page json;
BEGIN
  FOR v_customer IN
    SELECT c.* FROM customers c WHERE c.company_id = app_company() AND c.id = ANY (p_customers) ORDER BY c.id COLLATE "C"
  LOOP
    EXIT WHEN v_left <= 0;
    v_page := ledger_page(v_customer, true, v_after, v_left);
    customer_id := v_customer.id;
    facts := v_page -> 'facts';
    next := CASE WHEN v_page ->> 'next' IS NOT NULL THEN v_page -> 'next' END;
    RETURN NEXT;
    v_left := v_left - json_array_length(facts);
    v_after := NULL;
  END LOOP;
END
$$;
