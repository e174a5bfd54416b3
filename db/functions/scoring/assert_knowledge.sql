-- Callers: churn_worker
-- Raises CS001 unless exactly `p_counts` facts of each customer were known at `p_as_of`. Until
-- the end of the transaction nobody else can write facts of these customers, and facts written afterwards are known
-- later. It takes its locks without waiting, so it cannot be part of a deadlock: a customer whose facts are being
-- written counts as changed.
CREATE OR REPLACE FUNCTION assert_knowledge(p_customers text[], p_counts integer[], p_as_of timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  v_company text := app_company();
  v_place integer;
  v_customer customers;
  v_subject record;
  v_count integer;
BEGIN
  FOR v_place IN 1..cardinality(p_customers) LOOP
    v_count := NULL;
    IF pg_try_advisory_xact_lock(knowledge_lock(p_customers[v_place])) THEN
      SELECT * INTO v_customer FROM customers c WHERE c.company_id = v_company AND c.id = p_customers[v_place];
      v_count := 0;
      FOR v_subject IN
        SELECT v_customer.provider_customer_id AS id, NULL::timestamptz AS linked_at
        UNION ALL
        SELECT l.object_id, coalesce(l.linked_at, l.created_at) FROM object_links l
          WHERE l.company_id = v_company AND l.provider = v_customer.provider AND l.is_customer AND l.holds_facts
            AND l.root_id = v_customer.provider_customer_id
      LOOP
        v_count := v_count + (
          SELECT count(*) FROM facts f
          WHERE f.company_id = v_company AND f.provider = v_customer.provider AND f.subject = v_subject.id
            AND greatest(coalesce(f.known_at, f.recorded_at), v_subject.linked_at) <= p_as_of
        );
      END LOOP;
    END IF;
    IF v_count IS DISTINCT FROM p_counts[v_place] THEN
      RAISE EXCEPTION 'more facts of a customer are known now' USING ERRCODE = 'CS001';
    END IF;
  END LOOP;
END
$$;
