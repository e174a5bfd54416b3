-- Callers: churn_worker
-- The whole ledgers of customers, each fact with the time from which on it could be known of that customer: when it was
-- written down, and its object tied to the customer. One look-up per subject, so that each uses the whole index.
CREATE OR REPLACE FUNCTION read_ledgers(p_customers text[]) RETURNS TABLE (customer_id text, facts jsonb)
LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_company text := app_company();
  v_customer customers;
  v_subject record;
BEGIN
  FOR v_customer IN
    SELECT c.* FROM customers c WHERE c.company_id = v_company AND c.id = ANY (p_customers) ORDER BY c.id COLLATE "C"
  LOOP
    customer_id := v_customer.id;
    facts := '[]';
    FOR v_subject IN
      SELECT v_customer.provider_customer_id AS id, NULL::timestamptz AS linked_at
      UNION ALL
      SELECT l.object_id, coalesce(l.linked_at, l.created_at) FROM object_links l
        WHERE l.company_id = v_company AND l.provider = v_customer.provider AND l.is_customer AND l.holds_facts
          AND l.root_id = v_customer.provider_customer_id
    LOOP
      facts := facts || coalesce((
        SELECT jsonb_agg(jsonb_build_object(
          'id', f.id, 'occurredAt', f.occurred_at, 'body', f.body,
          'knownAt', greatest(coalesce(f.known_at, f.recorded_at), v_subject.linked_at)
        ))
        FROM facts f
        WHERE f.company_id = v_company AND f.provider = v_customer.provider AND f.subject = v_subject.id
      ), '[]');
    END LOOP;
    RETURN NEXT;
  END LOOP;
END
$$;
