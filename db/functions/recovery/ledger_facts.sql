-- Callers: churn_worker
-- The next facts of a customer in ledger order, at most `p_limit`, after a position. `p_with_objects`: with the facts of
-- all objects that were linked to the customer. `p_with_own`: with our own actions, which are written in one transaction
-- with the state that contains them, and move no position. `known_at` is when a fact was first known of the customer: recorded, and its object linked to the customer.
-- One query, so that it becomes a part of the query that calls it.
CREATE OR REPLACE FUNCTION ledger_facts(
  p_company text, p_provider text, p_customer text, p_with_objects boolean, p_with_own boolean, p_at timestamptz,
  p_rank smallint, p_id text, p_limit integer
)
RETURNS TABLE (id text, occurred_at timestamptz, rank smallint, body jsonb, known_at timestamptz) LANGUAGE sql STABLE AS $$
  SELECT f.id, f.occurred_at, f.rank, f.body, f.known_at
  FROM (
    SELECT p_customer AS id, NULL::timestamptz AS linked_at
    UNION ALL
    SELECT l.object_id, coalesce(l.linked_at, l.created_at) FROM object_links l
      WHERE p_with_objects AND l.company_id = p_company AND l.provider = p_provider AND l.is_customer AND l.holds_facts
        AND l.root_id = p_customer
  ) AS s CROSS JOIN LATERAL (
    -- One look-up per subject, in index order and up to the limit.
    SELECT o.id, o.occurred_at, o.rank, o.body, greatest(coalesce(o.known_at, o.recorded_at), s.linked_at) AS known_at
    FROM facts o
    WHERE o.company_id = p_company AND o.provider = p_provider AND o.subject = s.id
      -- Enables partition pruning, which the row comparison alone does not.
      AND o.occurred_at >= p_at AND (o.occurred_at, o.rank, o.id) > (p_at, p_rank, p_id)
      AND (p_with_own OR o.rank NOT BETWEEN 69 AND 76)
    ORDER BY o.occurred_at, o.rank, o.id LIMIT p_limit
  ) AS f
  ORDER BY f.occurred_at, f.rank, f.id LIMIT p_limit
$$;
