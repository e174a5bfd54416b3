-- Owner: churn_registry
-- Callers: churn_worker
-- Adds a company with its accounts (`[{"provider", "accountId"}]`) at once; raises unique_violation when the company or
-- one of the accounts is there already.
CREATE OR REPLACE FUNCTION add_company(p_id text, p_name text, p_accounts jsonb, p_now timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO public.companies (id, name, created_at) VALUES (p_id, p_name, p_now);
  INSERT INTO public.company_accounts (company_id, provider, account_id)
    SELECT p_id, a.account ->> 'provider', a.account ->> 'accountId' FROM jsonb_array_elements(p_accounts) AS a (account);
$$;
