-- Callers: churn_worker
-- Which of these customers have a person that has changed since `p_marks` were read (null: not asked); of two customers
-- of one person, only the first may be unchanged. Until the end of the transaction every other sender to the same
-- persons waits: of two messages decided at the same time, the second is decided again. There is one lock per address,
-- always taken in the same order, after the customers' own rows.
CREATE OR REPLACE FUNCTION changed_persons(p_customers text[], p_marks text[]) RETURNS text[] LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  v_lock bigint;
BEGIN
  FOR v_lock IN
    SELECT DISTINCT hashtextextended('person|' || a.company_id || '|' || a.kind || '|' || encode(a.address, 'hex'), 0)
      FROM unnest(p_customers, p_marks) AS given (id, mark)
      JOIN customer_addresses a ON a.company_id = app_company() AND a.customer_id = given.id
      WHERE given.mark IS NOT NULL ORDER BY 1
  LOOP
    PERFORM pg_advisory_xact_lock(v_lock);
  END LOOP;
  -- A separate statement, so that it sees what was committed while the locks were awaited.
  RETURN ARRAY(
    SELECT given.id FROM unnest(p_customers, p_marks) WITH ORDINALITY AS given (id, mark, place)
      WHERE given.mark IS NOT NULL AND (person_mark(given.id) IS DISTINCT FROM given.mark OR EXISTS (
        SELECT FROM customers_sharing(given.id) AS s
          WHERE s.customer_id <> given.id AND s.customer_id = ANY (p_customers[:given.place - 1])
      ))
  );
END
$$;
