-- Owner: churn_system
-- Callers: churn_worker
-- Live metrics: events processed and nudges delivered since `p_from`, over
-- all companies. An event that is still `received` counts as failed once it is older than `p_waiting_since`; until then
-- it counts as waiting, like a held event. Events of the other mode (test or live) are not counted.
CREATE OR REPLACE FUNCTION live_figures(p_from timestamptz, p_waiting_since timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  WITH events AS (
    SELECT
      coalesce(sum(e.total), 0) AS total, coalesce(sum(e.processed), 0) AS processed,
      coalesce(sum(e.failed), 0) AS failed, coalesce(sum(e.waiting), 0) AS waiting
    FROM public.companies c
    -- Per company, to use the index by company and arrival; an index over all companies would cost every webhook a
    -- write.
    CROSS JOIN LATERAL (
      SELECT
        count(*) AS total,
        count(*) FILTER (WHERE status IN ('processed', 'unhandled')) AS processed,
        count(*) FILTER (
          WHERE status IN ('failed', 'dead') OR (status = 'received' AND received_at < p_waiting_since)
        ) AS failed,
        count(*) FILTER (
          WHERE status = 'held' OR (status = 'received' AND received_at >= p_waiting_since)
        ) AS waiting
      FROM public.webhook_events WHERE company_id = c.id AND received_at >= p_from AND received_at < 'infinity'
        AND (status <> 'unhandled' OR error IS NULL OR error NOT IN ('test_mode', 'live_mode'))
    ) AS e
  ), sent AS (
    SELECT
      count(*) FILTER (WHERE status = 'sent') AS sent,
      count(*) FILTER (WHERE status = 'failed') AS failed,
      count(*) FILTER (WHERE status = 'unknown') AS unknown
    FROM public.nudges
    WHERE status IN ('sent', 'failed', 'unknown') AND coalesce(sent_at, due_at) >= p_from
  )
  SELECT jsonb_build_object(
    'processing', jsonb_build_object(
      'received', e.total, 'processed', e.processed, 'failed', e.failed, 'waiting', e.waiting),
    'delivery', jsonb_build_object('sent', s.sent, 'failed', s.failed, 'unknown', s.unknown)
  ) FROM events e, sent s
$$;
