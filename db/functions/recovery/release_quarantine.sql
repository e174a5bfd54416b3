-- Callers: churn_worker
-- Ends a customer's quarantine, and makes the messages due that waited for its end. False: the customer is in none.
CREATE OR REPLACE FUNCTION release_quarantine(p_customer_id text, p_now timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  UPDATE customer_quarantines q SET ends_at = p_now
    WHERE q.company_id = app_company() AND q.customer_id = p_customer_id AND q.ends_at > p_now;
  IF NOT FOUND THEN RETURN false; END IF;
  UPDATE nudges n SET due_at = p_now, reason = NULL
    WHERE n.company_id = app_company() AND n.customer_id = p_customer_id AND n.status = 'planned'
      AND n.reason = 'quarantined';
  RETURN true;
END
$$;
