-- Owner: churn_registry
-- Callers: churn_worker
-- Companies with their accounts, the newest first, after the one of `p_after_at` and `p_after_id` (null: from the start);
-- or the one of `p_id`.
CREATE OR REPLACE FUNCTION list_companies(p_id text, p_after_at timestamptz, p_after_id text, p_limit integer)
RETURNS TABLE (id text, name text, created_at timestamptz, closed_at timestamptz, closed_by text, shared_kinds jsonb, accounts jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT c.id, c.name, c.created_at, c.closed_at, c.closed_by, to_jsonb(c.shared_kinds), (
    SELECT coalesce(jsonb_agg(jsonb_build_object('provider', a.provider, 'accountId', a.account_id)
      ORDER BY a.provider, a.account_id), '[]')
    FROM public.company_accounts a WHERE a.company_id = c.id
  )
  FROM public.companies c
  WHERE (p_id IS NULL OR c.id = p_id)
    AND (p_after_at IS NULL OR (date_trunc('milliseconds', c.created_at), c.id) < (p_after_at, p_after_id COLLATE "C"))
  ORDER BY date_trunc('milliseconds', c.created_at) DESC, c.id DESC LIMIT p_limit
$$;
