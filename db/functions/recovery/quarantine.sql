-- Callers: churn_worker
-- Puts a customer into quarantine for 24 hours from now, or extends it to that. One that has ended starts again, and is
-- announced again. Written at most once an hour, so that a flood does not write the row with every event.
CREATE OR REPLACE FUNCTION quarantine(p_customer_id text, p_reason text, p_now timestamptz) RETURNS void LANGUAGE sql AS $$
  INSERT INTO customer_quarantines AS q (company_id, customer_id, reason, since, ends_at)
    VALUES (app_company(), p_customer_id, p_reason, p_now, p_now + interval '24 hours')
    ON CONFLICT (company_id, customer_id) DO UPDATE SET
      reason = CASE WHEN q.ends_at <= p_now THEN p_reason ELSE q.reason END,
      since = CASE WHEN q.ends_at <= p_now THEN p_now ELSE q.since END,
      announced_at = CASE WHEN q.ends_at <= p_now THEN NULL ELSE q.announced_at END,
      ends_at = p_now + interval '24 hours'
      WHERE q.ends_at < p_now + interval '23 hours'
$$;
