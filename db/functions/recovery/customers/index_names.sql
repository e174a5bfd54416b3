-- Callers: churn_worker
-- Indexes the name of a stored contact, unless it has changed since it was read (SHA-256 of the sealed bytes): then the
-- writer of the change has indexed it, or the next run does. True when it was indexed.
CREATE OR REPLACE FUNCTION index_names(p_customer_id text, p_sealed_sha256 text, p_names text[], p_version integer)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  UPDATE customer_pii p SET names_version = p_version
    WHERE p.company_id = app_company() AND p.customer_id = p_customer_id
      AND encode(sha256(p.sealed), 'hex') = p_sealed_sha256;
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM set_contact_names(jsonb_build_array(
    jsonb_build_object('customer_id', p_customer_id, 'names', to_jsonb(p_names))
  ));
  RETURN true;
END
$$;
