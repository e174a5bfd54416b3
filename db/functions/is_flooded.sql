-- Callers: churn_worker
-- Whether the customer of a delivery had at least `customerEventsMax` events in the hour before it; imported events and
-- those that were put aside do not count. A delivery whose customer is not known yet is never one too many.
CREATE OR REPLACE FUNCTION is_flooded(p jsonb) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT count(*) >= (p ->> 'customerEventsMax')::integer FROM (
    SELECT FROM webhook_events e
    WHERE e.company_id = app_company() AND e.status <> 'dead' AND e.provider_event_id NOT LIKE 'history\_%'
      AND e.received_at > (p ->> 'receivedAt')::timestamptz - interval '1 hour'
      AND e.customer_id = (p ->> 'provider') || '_' || coalesce(p ->> 'customer', (
        SELECT l.root_id FROM object_links l
        WHERE l.company_id = app_company() AND l.provider = p ->> 'provider' AND l.is_customer
          AND l.object_id IN (SELECT jsonb_array_elements_text(p -> 'objects'))
        ORDER BY l.root_id LIMIT 1
      ))
    LIMIT (p ->> 'customerEventsMax')::integer
  ) AS recent
$$;
