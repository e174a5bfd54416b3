-- Callers: churn_worker
-- Replaces the addresses of a customer. Earlier ones stay if the customer has opted out.
CREATE OR REPLACE FUNCTION set_addresses(p_customer_id text, p_kinds text[], p_addresses text[], p_version integer)
RETURNS void LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
BEGIN
  DELETE FROM customer_addresses a
    WHERE a.company_id = app_company() AND a.customer_id = p_customer_id
      AND encode(a.address, 'hex') <> ALL (p_addresses)
      AND NOT EXISTS (
        SELECT FROM consents o
        WHERE o.company_id = a.company_id AND o.customer_id = a.customer_id
          AND o.purpose = 'recovery_messages' AND NOT o.is_granted
      );
  INSERT INTO customer_addresses (company_id, customer_id, kind, address)
    SELECT app_company(), p_customer_id, given.kind, decode(given.address, 'hex')
      FROM unnest(p_kinds, p_addresses) AS given (kind, address)
    ON CONFLICT DO NOTHING;
  UPDATE customer_pii p SET indexed_version = p_version
    WHERE p.company_id = app_company() AND p.customer_id = p_customer_id;
END
$$;
