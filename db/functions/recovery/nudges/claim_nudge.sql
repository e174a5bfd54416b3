-- Callers: churn_worker
-- Claims one due nudge for `p_owner`: unclaimed, with an expired lease, or claimed by the
-- dispatcher. Returns the customer's current stream; null when there is nothing to claim.
CREATE OR REPLACE FUNCTION claim_nudge(p_id text, p_dispatcher text, p_owner text, p_now timestamptz, p_until timestamptz)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_customer_id text;
BEGIN
  UPDATE nudges n SET lease_owner = p_owner, lease_until = p_until
    WHERE n.company_id = app_company() AND n.id = p_id AND n.status IN ('planned', 'sending') AND n.due_at <= p_now
      AND (n.lease_until IS NULL OR n.lease_until <= p_now OR n.lease_owner = p_dispatcher)
    RETURNING n.customer_id INTO v_customer_id;
  RETURN CASE WHEN v_customer_id IS NOT NULL THEN read_stream(v_customer_id, false) END;
END
$$;
