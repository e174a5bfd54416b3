-- Callers: churn_worker
-- The next facts of a customer in ledger order, at most `p_limit` (null: 2000): `facts` are those after `p_after` (null:
-- from the beginning; `p_is_whole`: with the facts of objects and our own actions); `next` is the position after which the next page starts, null on the last page. See `ledger_facts`.
CREATE OR REPLACE FUNCTION ledger_page(
  p_customer customers, p_is_whole boolean, p_after jsonb, p_limit integer
)
RETURNS json LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET enable_material = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_sort = off AS $$
DECLARE
  -- Not as fields of the row in the query: then each page reads the whole ledger.
  v_company text := p_customer.company_id;
  v_provider text := p_customer.provider;
  v_subject text := p_customer.provider_customer_id;
  v_at timestamptz := coalesce((p_after ->> 'occurredAt')::timestamptz, '-infinity');
  v_rank smallint := coalesce((p_after ->> 'rank')::smallint, -1);
  v_id text := coalesce(p_after ->> 'id', '');
  v_limit integer := coalesce(p_limit, 2000);
  v_facts json;
  v_next json;
BEGIN
  -- One more than the page holds, to know whether there is another.
  SELECT
    json_agg(
      json_build_object('id', f.id, 'occurredAt', f.occurred_at, 'body', f.body, 'knownAt', f.known_at) ORDER BY f.place
    ) FILTER (WHERE f.place <= v_limit),
    CASE WHEN count(*) > v_limit THEN json_agg(
      json_build_object('occurredAt', f.occurred_at, 'rank', f.rank, 'id', f.id)
    ) FILTER (WHERE f.place = v_limit) -> 0 END
    INTO v_facts, v_next
    FROM (
      SELECT l.*, row_number() OVER () AS place FROM ledger_facts(
        v_company, v_provider, v_subject, p_is_whole, p_is_whole, v_at, v_rank, v_id, v_limit + 1
      ) AS l
    ) AS f;
  RETURN json_build_object('facts', coalesce(v_facts, '[]'), 'next', v_next);
END
$$;
