DROP FUNCTION add_company(text, text, jsonb, timestamptz);
--> statement-breakpoint
-- Adds a company with its accounts (`[{"provider", "accountId"}]`) at once; raises unique_violation when the company or
-- one of the accounts is there already. `p_shared`: the deployment's credentials that it may use; null: all of them.
CREATE OR REPLACE FUNCTION add_company(p_id text, p_name text, p_accounts jsonb, p_shared jsonb, p_now timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO public.companies (id, name, created_at) VALUES (p_id, p_name, p_now);
  UPDATE public.companies SET shared_kinds = ARRAY(SELECT jsonb_array_elements_text(p_shared))
    WHERE id = p_id AND p_shared IS NOT NULL;
  INSERT INTO public.company_accounts (company_id, provider, account_id)
    SELECT p_id, a.account ->> 'provider', a.account ->> 'accountId' FROM jsonb_array_elements(p_accounts) AS a (account);
$$;
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_registry TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_registry;
  ALTER FUNCTION add_company(text, text, jsonb, jsonb, timestamptz) OWNER TO churn_registry;
  REVOKE CREATE ON SCHEMA public FROM churn_registry;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION add_company(text, text, jsonb, jsonb, timestamptz) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION add_company(text, text, jsonb, jsonb, timestamptz) TO churn_worker;
--> statement-breakpoint
DROP FUNCTION change_company(text, text, jsonb, jsonb);
--> statement-breakpoint
-- Renames a company, sets which of the deployment's credentials it may use (each null: as it is), and adds and removes
-- accounts (`[{"provider", "accountId"}]`), at once. False when
-- there is no such company; raises unique_violation for an account that another company has.
CREATE OR REPLACE FUNCTION change_company(p_id text, p_name text, p_added jsonb, p_removed jsonb, p_shared jsonb)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE public.companies SET
    name = coalesce(p_name, name),
    shared_kinds = CASE WHEN p_shared IS NULL THEN shared_kinds ELSE ARRAY(SELECT jsonb_array_elements_text(p_shared)) END
    WHERE id = p_id;
  IF NOT FOUND THEN RETURN false; END IF;
  DELETE FROM public.company_accounts a USING jsonb_array_elements(p_removed) AS r (account)
    WHERE a.company_id = p_id AND a.provider = r.account ->> 'provider' AND a.account_id = r.account ->> 'accountId';
  INSERT INTO public.company_accounts (company_id, provider, account_id)
    SELECT p_id, n.account ->> 'provider', n.account ->> 'accountId' FROM jsonb_array_elements(p_added) AS n (account)
    WHERE NOT EXISTS (
      SELECT FROM public.company_accounts a
      WHERE a.company_id = p_id AND a.provider = n.account ->> 'provider' AND a.account_id = n.account ->> 'accountId');
  RETURN true;
END
$$;
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_registry TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_registry;
  ALTER FUNCTION change_company(text, text, jsonb, jsonb, jsonb) OWNER TO churn_registry;
  REVOKE CREATE ON SCHEMA public FROM churn_registry;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION change_company(text, text, jsonb, jsonb, jsonb) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION change_company(text, text, jsonb, jsonb, jsonb) TO churn_worker;
--> statement-breakpoint
DROP FUNCTION list_companies(text, timestamptz, text, integer);
--> statement-breakpoint
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
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_registry TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_registry;
  ALTER FUNCTION list_companies(text, timestamptz, text, integer) OWNER TO churn_registry;
  REVOKE CREATE ON SCHEMA public FROM churn_registry;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION list_companies(text, timestamptz, text, integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION list_companies(text, timestamptz, text, integer) TO churn_worker;
--> statement-breakpoint
DROP FUNCTION reconciliation_targets(text);
--> statement-breakpoint
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
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_system TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_system;
  ALTER FUNCTION reconciliation_targets(text) OWNER TO churn_system;
  REVOKE CREATE ON SCHEMA public FROM churn_system;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION reconciliation_targets(text) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION reconciliation_targets(text) TO churn_worker;
