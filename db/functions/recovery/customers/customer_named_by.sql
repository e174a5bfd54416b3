-- Callers: churn_worker
-- `customers_named` for one delivery in JSON: our id of its customer.
CREATE OR REPLACE FUNCTION customer_named_by(p jsonb) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_objects text[] := ARRAY(SELECT jsonb_array_elements_text(p -> 'objects'));
BEGIN
  RETURN (
    SELECT n.customer_id FROM customers_named(
      ARRAY[p ->> 'provider'], ARRAY[p ->> 'customer'], array_fill(1, ARRAY[cardinality(v_objects)]), v_objects
    ) AS n
  );
END
$$;
