-- Callers: churn_worker
-- `customers_named` for one delivery in JSON: whether it would link a new object where there are too many links.
CREATE OR REPLACE FUNCTION has_too_many_links(p jsonb) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_objects text[] := ARRAY(SELECT jsonb_array_elements_text(p -> 'objects'));
BEGIN
  RETURN (
    SELECT n.is_crowded FROM customers_named(
      ARRAY[p ->> 'provider'], ARRAY[p ->> 'customer'], array_fill(1, ARRAY[cardinality(v_objects)]), v_objects
    ) AS n
  );
END
$$;
