-- Callers: churn_worker
-- Replaces the addresses of customers: `p_contacts` is a list of `customer_id`, `kinds` and `addresses` (hexadecimal).
-- Earlier ones stay if the customer has opted out.
CREATE OR REPLACE FUNCTION set_contact_addresses(p_contacts jsonb) RETURNS void LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_material = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_company text := app_company();
BEGIN
  DELETE FROM customer_addresses a
    WHERE a.company_id = v_company
      AND a.customer_id = ANY (ARRAY(SELECT c ->> 'customer_id' FROM jsonb_array_elements(p_contacts) AS c))
      AND NOT EXISTS (
        SELECT FROM jsonb_array_elements(p_contacts) AS c
        WHERE c ->> 'customer_id' = a.customer_id AND c -> 'addresses' ? encode(a.address, 'hex')
      )
      AND NOT EXISTS (
        SELECT FROM consents o
        WHERE o.company_id = v_company AND o.customer_id = a.customer_id AND o.purpose = 'recovery_messages'
          AND NOT o.is_granted
      );
  INSERT INTO customer_addresses (company_id, customer_id, kind, address)
    SELECT v_company, c ->> 'customer_id', kind.name, decode(c -> 'addresses' ->> (kind.place - 1)::integer, 'hex')
      FROM jsonb_array_elements(p_contacts) AS c
      CROSS JOIN LATERAL jsonb_array_elements_text(c -> 'kinds') WITH ORDINALITY AS kind (name, place)
    ON CONFLICT DO NOTHING;
END
$$;
