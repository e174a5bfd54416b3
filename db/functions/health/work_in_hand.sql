-- Owner: churn_system
-- Callers: churn_worker
-- Counts of due and overdue nudges and of unprocessed events, over all
-- companies; nudges of closed companies are not due. A replayed event counts from its replay.
CREATE OR REPLACE FUNCTION work_in_hand(p_now timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  WITH closed AS (SELECT coalesce(array_agg(c.id), '{}') AS ids FROM public.companies c WHERE c.closed_at IS NOT NULL)
  SELECT jsonb_build_object(
    'due', (SELECT count(*) FROM (
      SELECT FROM public.nudges WHERE status IN ('planned', 'sending') AND due_at <= p_now
        AND company_id <> ALL (closed.ids) LIMIT 10000) AS d),
    'overdue', (SELECT count(*) FROM (
      SELECT FROM public.nudges WHERE status IN ('planned', 'sending') AND due_at <= p_now - interval '1 hour'
        AND company_id <> ALL (closed.ids) LIMIT 10000) AS o),
    'leased', (SELECT count(*) FROM (
      SELECT FROM public.nudges WHERE status IN ('planned', 'sending') AND due_at <= p_now AND lease_until > p_now LIMIT 10000) AS l),
    'nextDueAt', least(
      (SELECT min(due_at) FROM public.nudges WHERE status IN ('planned', 'sending') AND due_at > p_now
        AND company_id <> ALL (closed.ids)),
      (SELECT min(greatest(due_at, lease_until, p_now)) FROM (
        SELECT due_at, lease_until FROM public.nudges WHERE status IN ('planned', 'sending') AND due_at <= p_now
          AND company_id <> ALL (closed.ids) LIMIT 10000) AS n)
    ),
    'pending', (SELECT count(*) FROM (
      SELECT FROM public.webhook_events WHERE status IN ('received', 'failed') LIMIT 10000) AS r),
    'quarantined', (SELECT count(*) FROM (
      SELECT FROM public.customer_quarantines WHERE ends_at > p_now LIMIT 10000) AS q),
    'held', (SELECT count(*) FROM (SELECT FROM public.webhook_events WHERE status = 'held' LIMIT 10000) AS h),
    'unmapped', (SELECT count(*) FROM (SELECT FROM public.unmapped_events LIMIT 10000) AS u),
    'oldestPendingAt', (
      SELECT min(coalesce(replayed_at, received_at)) FROM public.webhook_events WHERE status IN ('received', 'failed'))
  ) FROM closed
$$;
