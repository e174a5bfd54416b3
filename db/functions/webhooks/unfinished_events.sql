-- Owner: churn_system
-- Callers: churn_worker
-- Unfinished events of `p_companies` (null: all): round-robin over companies,
-- each company's in the order of arrival or, after a failure, of the next attempt. Only companies with unfinished
-- events are visited, with one index look-up each, and no more events are read than could be returned. If more than 10
-- 000 companies have some, the others follow once these are finished.
CREATE OR REPLACE FUNCTION unfinished_events(p_now timestamptz, p_limit integer, p_companies text[])
RETURNS TABLE (company_id text, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_custom_plan SET enable_sort = off SET enable_bitmapscan = off SET enable_seqscan = off AS $$
  WITH RECURSIVE walked (company_id, take_at, n) AS (
    (
      SELECT e.company_id, coalesce(e.next_attempt_at, e.received_at), 1 FROM public.webhook_events e
      WHERE e.status IN ('received', 'failed', 'held')
      ORDER BY e.company_id, coalesce(e.next_attempt_at, e.received_at) LIMIT 1
    )
    UNION ALL
    SELECT f.company_id, f.take_at, w.n + 1 FROM walked w CROSS JOIN LATERAL (
      SELECT e.company_id, coalesce(e.next_attempt_at, e.received_at) AS take_at FROM public.webhook_events e
      WHERE e.status IN ('received', 'failed', 'held') AND e.company_id > w.company_id
      ORDER BY e.company_id, coalesce(e.next_attempt_at, e.received_at) LIMIT 1
    ) AS f
    WHERE w.n < 10000
  ),
  waiting AS MATERIALIZED (
    SELECT w.company_id FROM walked w
    WHERE w.take_at <= p_now AND (p_companies IS NULL OR w.company_id = ANY (p_companies))
  ),
  share AS MATERIALIZED (SELECT ceil(20.0 * p_limit / greatest(count(*), 1))::integer AS size FROM waiting)
  SELECT p.company_id, p.id FROM waiting w CROSS JOIN LATERAL (
    SELECT e.company_id, e.id, coalesce(e.next_attempt_at, e.received_at) AS take_at, e.received_at FROM public.webhook_events e
    WHERE e.status IN ('received', 'failed', 'held') AND e.company_id = w.company_id
      AND coalesce(e.next_attempt_at, e.received_at) <= p_now
    ORDER BY coalesce(e.next_attempt_at, e.received_at), e.received_at, e.id LIMIT (SELECT s.size FROM share s)
  ) AS p
  ORDER BY row_number() OVER (PARTITION BY p.company_id ORDER BY p.take_at, p.received_at, p.id), p.take_at, p.id
  LIMIT p_limit
$$;
