-- The live figures: how events were processed and nudges delivered since `p_from`, over all companies. An event that is
-- still `received` has failed once it is older than `p_waiting_since`; until then it waits, as one that is held does.
-- Events of the mode that this deployment does not take are in no figure.
CREATE OR REPLACE FUNCTION live_figures(p_from timestamptz, p_waiting_since timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  WITH events AS (
    SELECT
      coalesce(sum(e.total), 0) AS total, coalesce(sum(e.processed), 0) AS processed,
      coalesce(sum(e.failed), 0) AS failed, coalesce(sum(e.waiting), 0) AS waiting
    FROM companies c
    -- Company by company, as the index by arrival is ordered; one over all of them would cost every webhook a write.
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
      FROM webhook_events WHERE company_id = c.id AND received_at >= p_from
        AND (status <> 'unhandled' OR error IS NULL OR error NOT IN ('test_mode', 'live_mode'))
    ) AS e
  ), sent AS (
    SELECT
      count(*) FILTER (WHERE status = 'sent') AS sent,
      count(*) FILTER (WHERE status = 'failed') AS failed,
      count(*) FILTER (WHERE status = 'unknown') AS unknown
    FROM nudges
    WHERE status IN ('sent', 'failed', 'unknown') AND coalesce(sent_at, due_at) >= p_from
  )
  SELECT jsonb_build_object(
    'processing', jsonb_build_object(
      'received', e.total, 'processed', e.processed, 'failed', e.failed, 'waiting', e.waiting),
    'delivery', jsonb_build_object('sent', s.sent, 'failed', s.failed, 'unknown', s.unknown)
  ) FROM events e, sent s
$$;
--> statement-breakpoint
-- Unmapped events whose account has found its company by now, oldest first: registered for the one in the path, or for any
-- where the path names none; or the deployment's own account at Whop (`p_key_account`, or all with `p_is_any`), which is the
-- default company's. Ids only; the caller reads each again and decides whose it is.
CREATE OR REPLACE FUNCTION mappable_events(p_key_account text, p_is_any boolean, p_default_company text, p_limit integer)
RETURNS TABLE (id uuid, path text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT u.id, u.path FROM unmapped_events u
  LEFT JOIN company_accounts a ON a.provider = u.provider AND a.account_id = u.account
  WHERE CASE WHEN a.company_id IS NOT NULL THEN u.path IN ('', a.company_id)
    ELSE u.provider = 'whop' AND NOT u.is_own_secret AND u.path IN ('', p_default_company)
      AND (p_is_any OR u.account = p_key_account) END
  ORDER BY u.received_at, u.id LIMIT p_limit
$$;
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_system TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_system;
  ALTER FUNCTION mappable_events(text, boolean, text, integer) OWNER TO churn_system;
  REVOKE CREATE ON SCHEMA public FROM churn_system;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION mappable_events(text, boolean, text, integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION mappable_events(text, boolean, text, integer) TO churn_worker;
--> statement-breakpoint
-- As before, but an event that was replayed waits since then.
CREATE OR REPLACE FUNCTION work_in_hand(p_now timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT jsonb_build_object(
    'due', (SELECT count(*) FROM (
      SELECT FROM nudges WHERE status IN ('planned', 'sending') AND due_at <= p_now LIMIT 10000) AS d),
    'overdue', (SELECT count(*) FROM (
      SELECT FROM nudges WHERE status IN ('planned', 'sending') AND due_at <= p_now - interval '1 hour' LIMIT 10000) AS o),
    'leased', (SELECT count(*) FROM (
      SELECT FROM nudges WHERE status IN ('planned', 'sending') AND due_at <= p_now AND lease_until > p_now LIMIT 10000) AS l),
    'nextDueAt', least(
      (SELECT min(due_at) FROM nudges WHERE status IN ('planned', 'sending') AND due_at > p_now),
      (SELECT min(greatest(due_at, lease_until, p_now)) FROM (
        SELECT due_at, lease_until FROM nudges WHERE status IN ('planned', 'sending') AND due_at <= p_now LIMIT 10000) AS n)
    ),
    'pending', (SELECT count(*) FROM (
      SELECT FROM webhook_events WHERE status IN ('received', 'failed') LIMIT 10000) AS r),
    'held', (SELECT count(*) FROM (SELECT FROM webhook_events WHERE status = 'held' LIMIT 10000) AS h),
    'unmapped', (SELECT count(*) FROM (SELECT FROM unmapped_events LIMIT 10000) AS u),
    'oldestPendingAt', (
      SELECT min(coalesce(replayed_at, received_at)) FROM webhook_events WHERE status IN ('received', 'failed'))
  )
$$;
