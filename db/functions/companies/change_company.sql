-- Owner: churn_registry
-- Callers: churn_worker
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
