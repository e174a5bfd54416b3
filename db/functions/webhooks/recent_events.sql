-- Callers: churn_worker
-- The events of a customer in the hour before `p_now` that count towards its limit, at most `p_max`: all but imported ones
-- and dead letters. One query, so that it becomes a part of the query that calls it.
CREATE OR REPLACE FUNCTION recent_events(p_company text, p_customer_id text, p_max integer, p_now timestamptz)
RETURNS TABLE (received_at timestamptz) LANGUAGE sql STABLE AS $$
  SELECT e.received_at FROM webhook_events e
  WHERE e.company_id = p_company AND e.customer_id = p_customer_id AND e.status <> 'dead'
    AND e.provider_event_id NOT LIKE 'history\_%' AND e.received_at > p_now - interval '1 hour'
  -- The order of the index by customer.
  ORDER BY e.received_at DESC, e.id LIMIT p_max
$$;
