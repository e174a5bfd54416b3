-- Owner: churn_system
-- Callers: churn_worker
-- Unmapped events whose account has a company now, oldest first: registered
-- for the company in the path, or for any company if the path names none; or the deployment's own account at Whop
-- (`p_key_account`, or all with `p_is_any`), which is the default company's. Ids only; the caller reads each event
-- again and determines its company. Events of a closed company wait until it is open again.
CREATE OR REPLACE FUNCTION mappable_events(p_key_account text, p_is_any boolean, p_default_company text, p_limit integer)
RETURNS TABLE (id uuid, path text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT u.id, u.path FROM public.unmapped_events u
  LEFT JOIN public.company_accounts a ON a.provider = u.provider AND a.account_id = u.account
  LEFT JOIN public.companies c ON c.id = a.company_id
  WHERE CASE WHEN a.company_id IS NOT NULL THEN c.closed_at IS NULL AND u.path IN ('', a.company_id)
    ELSE u.provider = 'whop' AND NOT u.is_own_secret AND u.path IN ('', p_default_company)
      AND (p_is_any OR u.account = p_key_account) END
  ORDER BY u.received_at, u.id LIMIT p_limit
$$;
