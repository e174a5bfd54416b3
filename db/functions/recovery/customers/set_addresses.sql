-- Callers: churn_worker
-- `set_contact_addresses` of one customer, with the version of the key.
CREATE OR REPLACE FUNCTION set_addresses(p_customer_id text, p_kinds text[], p_addresses text[], p_version integer)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_contact_addresses(jsonb_build_array(
    jsonb_build_object('customer_id', p_customer_id, 'kinds', to_jsonb(p_kinds), 'addresses', to_jsonb(p_addresses))
  ));
  UPDATE customer_pii p SET indexed_version = p_version
    WHERE p.company_id = app_company() AND p.customer_id = p_customer_id;
END
$$;
