-- Owner: churn_system
-- Callers: churn_worker
-- The accounts to reconcile, of all companies that are not closed, the longest waiting first: the
-- registered ones; that of the deployment's own key (empty), which is the default company's; and that of a company's own
-- key (empty too). Each with the positions of its comparisons, and whether the company has a key of its own and may use
-- the deployment's.
CREATE OR REPLACE FUNCTION reconciliation_targets(p_default_company text)
RETURNS TABLE (company_id text, provider text, account text, has_own_key boolean, is_shared boolean, positions jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT t.company_id, t.provider, t.account, o.has_own_key, t.provider = ANY (t.shared_kinds), coalesce(p.positions, '[]')
  FROM (
    SELECT a.company_id, a.provider, a.account_id AS account, c.shared_kinds FROM public.company_accounts a
    JOIN public.companies c ON c.id = a.company_id AND c.closed_at IS NULL
    UNION ALL
    SELECT c.id, n.name, '', c.shared_kinds FROM public.companies c, unnest(ARRAY['stripe', 'whop']) AS n (name)
    WHERE c.closed_at IS NULL AND (c.id = p_default_company OR EXISTS (
      SELECT FROM public.company_credentials k WHERE k.company_id = c.id AND k.kind = n.name))
  ) AS t
  CROSS JOIN LATERAL (
    SELECT EXISTS (
      SELECT FROM public.company_credentials k WHERE k.company_id = t.company_id AND k.kind = t.provider
    ) AS has_own_key
  ) AS o
  CROSS JOIN LATERAL (
    SELECT max(r.stepped_at) AS stepped_at, jsonb_agg(jsonb_build_object(
        'kind', r.kind, 'completeUntil', r.complete_until, 'isOpen', r.is_open, 'steppedAt', r.stepped_at
      )) AS positions
    FROM public.reconciliation_positions r
    WHERE r.company_id = t.company_id AND r.provider = t.provider AND r.account = t.account
  ) AS p
  ORDER BY p.stepped_at NULLS FIRST, t.company_id, t.provider, t.account
$$;
