-- Callers: churn_worker
-- Replaces the indexes of customers' names: `p_contacts` is a list of `customer_id` and `names` (hexadecimal). A contact
-- without `names` keeps its own.
CREATE OR REPLACE FUNCTION set_contact_names(p_contacts jsonb) RETURNS void LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_material = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_company text := app_company();
BEGIN
  DELETE FROM customer_names n
    WHERE n.company_id = v_company
      AND n.customer_id = ANY (ARRAY(
        SELECT c ->> 'customer_id' FROM jsonb_array_elements(p_contacts) AS c WHERE c ? 'names'
      ))
      AND NOT EXISTS (
        SELECT FROM jsonb_array_elements(p_contacts) AS c
        WHERE c ->> 'customer_id' = n.customer_id AND c -> 'names' ? encode(n.name, 'hex')
      );
  INSERT INTO customer_names (company_id, customer_id, name)
    SELECT v_company, c ->> 'customer_id', decode(word.name, 'hex')
      FROM jsonb_array_elements(p_contacts) AS c
      CROSS JOIN LATERAL jsonb_array_elements_text(coalesce(c -> 'names', '[]')) AS word (name)
    ON CONFLICT DO NOTHING;
END
$$;
