-- Callers: churn_worker
-- Indexes the addresses of a stored contact, unless it has changed since it was read (SHA-256 of
-- the sealed bytes): then the writer of the change has indexed it, or the next run does. True when it was indexed.
CREATE OR REPLACE FUNCTION index_contact(
  p_customer_id text, p_sealed_sha256 text, p_kinds text[], p_addresses text[], p_version integer
)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM customer_pii p
    WHERE p.company_id = app_company() AND p.customer_id = p_customer_id
      AND encode(sha256(p.sealed), 'hex') = p_sealed_sha256
    FOR UPDATE;
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM set_addresses(p_customer_id, p_kinds, p_addresses, p_version);
  RETURN true;
END
$$;
