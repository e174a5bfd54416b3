-- Owner: churn_registry
-- Callers: churn_worker
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
