-- Callers: churn_worker
-- The next facts of a customer in ledger order, at most `p_limit` (null: 2000): `facts` are those
-- after `p_after` (null: from the beginning); `next` is the position after which the next page starts, null on the last
-- page. `p_is_whole`: with the facts of all objects that were linked to the customer, and with our own actions;
-- otherwise only facts that a snapshot does not contain yet. `knownAt` is when a fact was first known of the customer:
-- recorded, and its object linked to the customer.
CREATE OR REPLACE FUNCTION ledger_page(
  p_customer customers, p_is_whole boolean, p_after jsonb, p_limit integer
)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_at timestamptz := coalesce((p_after ->> 'occurredAt')::timestamptz, '-infinity');
  v_rank smallint := coalesce((p_after ->> 'rank')::smallint, -1);
  v_id text COLLATE "C" := coalesce(p_after ->> 'id', '');
  v_limit integer := coalesce(p_limit, 2000);
  v_facts jsonb;
  v_next jsonb;
BEGIN
  -- One look-up per subject, in index order and up to the limit, also while the table has no statistics.
  WITH subjects AS MATERIALIZED (
    SELECT p_customer.provider_customer_id AS id, NULL::timestamptz AS linked_at
    UNION ALL
    SELECT l.object_id, coalesce(l.linked_at, l.created_at) FROM object_links l
      WHERE p_is_whole AND l.company_id = p_customer.company_id AND l.provider = p_customer.provider AND l.is_customer
        AND l.holds_facts AND l.root_id = p_customer.provider_customer_id
  ),
  -- One more than the page holds, to know whether there is another.
  found AS MATERIALIZED (
    SELECT f.*, row_number() OVER (ORDER BY f.occurred_at, f.rank, f.id) AS place
    FROM subjects s CROSS JOIN LATERAL (
      SELECT o.id, o.occurred_at, o.rank, o.body,
        greatest(coalesce(o.known_at, o.recorded_at), s.linked_at) AS known_at
      FROM facts o
      WHERE o.company_id = p_customer.company_id AND o.provider = p_customer.provider AND o.subject = s.id
        -- Enables partition pruning, which the row comparison alone does not.
        AND o.occurred_at >= v_at AND (o.occurred_at, o.rank, o.id) > (v_at, v_rank, v_id)
        -- Our own actions are written in one transaction with the state that contains them, and move no position.
        AND (p_is_whole OR o.rank NOT BETWEEN 69 AND 76)
      ORDER BY o.occurred_at, o.rank, o.id LIMIT v_limit + 1
    ) AS f
    ORDER BY f.occurred_at, f.rank, f.id LIMIT v_limit + 1
  )
  SELECT
    jsonb_agg(
      jsonb_build_object('id', f.id, 'occurredAt', f.occurred_at, 'body', f.body, 'knownAt', f.known_at) ORDER BY f.place
    ) FILTER (WHERE f.place <= v_limit),
    jsonb_agg(
      jsonb_build_object('occurredAt', f.occurred_at, 'rank', f.rank, 'id', f.id)
    ) FILTER (WHERE f.place = v_limit AND EXISTS (SELECT FROM found m WHERE m.place > v_limit)) -> 0
  INTO v_facts, v_next FROM found f;
  RETURN jsonb_build_object('facts', coalesce(v_facts, '[]'), 'next', v_next);
END
$$;
