-- Runs of the jobs by the clock are leases: one at a time, once per slot, and a run that is lost is taken over. Older
-- Workers go on noting finished runs, which need none of this.
CREATE SEQUENCE job_runs_fence;
--> statement-breakpoint
ALTER TABLE job_runs
  -- Grows with every run: of two that believe they hold the lease, the higher one does.
  ADD COLUMN fence bigint NOT NULL DEFAULT nextval('job_runs_fence'),
  -- The scheduled time that a heartbeat ran it for; null for runs that were asked for.
  ADD COLUMN slot timestamptz,
  -- The request that runs it, as the log names it.
  ADD COLUMN owner text,
  ADD COLUMN heartbeat_at timestamptz,
  ADD COLUMN lease_until timestamptz,
  -- A code, when the run did not come to its end.
  ADD COLUMN error text;
--> statement-breakpoint
ALTER SEQUENCE job_runs_fence OWNED BY job_runs.fence;
--> statement-breakpoint
-- One run of a job at a time, whatever the code believes.
CREATE UNIQUE INDEX job_runs_unfinished ON job_runs (job) WHERE finished_at IS NULL;
--> statement-breakpoint
-- Whether a slot was run already.
CREATE INDEX job_runs_by_slot ON job_runs (job, slot DESC) WHERE slot IS NOT NULL;
--> statement-breakpoint
-- Forgetting the runs of more than a month ago.
CREATE INDEX job_runs_by_age ON job_runs (started_at);
--> statement-breakpoint
-- What operators have decided about a job, and when each heartbeat last called it. Names no tenant.
CREATE TABLE job_states (
  job text PRIMARY KEY,
  is_paused boolean NOT NULL DEFAULT false,
  reason text,
  -- The id of the key that paused or resumed it.
  changed_by text,
  changed_at timestamptz,
  last_qstash_at timestamptz,
  last_cron_at timestamptz
);
--> statement-breakpoint
GRANT USAGE ON SEQUENCE job_runs_fence TO churn_worker;
--> statement-breakpoint
GRANT UPDATE ON job_runs TO churn_worker;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON job_states TO churn_worker;
--> statement-breakpoint
-- Begins a run, in one round trip: {"refused": "paused" | "already_run" | "already_running"}, or {"fence", "replaced"}
-- with the number of lost runs that were closed. The row of job_states makes beginners of one job take turns.
CREATE FUNCTION begin_job_run(
  p_id uuid, p_job text, p_source text, p_owner text, p_slot timestamptz, p_now timestamptz, p_until timestamptz
)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_is_paused boolean;
  v_replaced integer;
  v_fence bigint;
BEGIN
  INSERT INTO job_states AS s (job, last_qstash_at, last_cron_at)
    VALUES (
      p_job,
      CASE WHEN p_source = 'qstash' AND p_slot IS NOT NULL THEN p_now END,
      CASE WHEN p_source = 'cron' THEN p_now END
    )
    ON CONFLICT (job) DO UPDATE SET
      last_qstash_at = coalesce(excluded.last_qstash_at, s.last_qstash_at),
      last_cron_at = coalesce(excluded.last_cron_at, s.last_cron_at)
    RETURNING s.is_paused INTO v_is_paused;
  IF v_is_paused THEN RETURN '{"refused": "paused"}'; END IF;

  -- A slot whose run failed is not run: the other heartbeat may try it.
  IF EXISTS (
    SELECT FROM job_runs r
    WHERE r.job = p_job AND r.slot >= p_slot AND r.error IS NULL AND (r.finished_at IS NOT NULL OR r.lease_until > p_now)
  ) THEN
    RETURN '{"refused": "already_run"}';
  END IF;
  IF EXISTS (SELECT FROM job_runs r WHERE r.job = p_job AND r.finished_at IS NULL AND r.lease_until > p_now) THEN
    RETURN '{"refused": "already_running"}';
  END IF;

  UPDATE job_runs r SET finished_at = p_now, outcome = 'lost', error = 'lease_expired'
    WHERE r.job = p_job AND r.finished_at IS NULL;
  GET DIAGNOSTICS v_replaced = ROW_COUNT;
  INSERT INTO job_runs AS r (id, job, source, owner, slot, started_at, heartbeat_at, lease_until)
    VALUES (p_id, p_job, p_source, p_owner, p_slot, p_now, p_now, p_until)
    RETURNING r.fence INTO v_fence;
  RETURN jsonb_build_object('fence', v_fence, 'replaced', v_replaced);
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION begin_job_run(uuid, text, text, text, timestamptz, timestamptz, timestamptz) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION begin_job_run(uuid, text, text, text, timestamptz, timestamptz, timestamptz) TO churn_worker;
--> statement-breakpoint
-- The events of a company that wait for a person. Tiny, because nearly everything is processed.
CREATE INDEX webhook_events_dead ON webhook_events (company_id, received_at DESC, id DESC) WHERE status = 'dead';
--> statement-breakpoint
-- Since when an event waits that was put in line once more: it arrived long ago, and nobody is late with it.
ALTER TABLE webhook_events ADD COLUMN replayed_at timestamptz;
--> statement-breakpoint
GRANT SELECT (replayed_at) ON webhook_events TO churn_system;
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
    'oldestPendingAt', (
      SELECT min(coalesce(replayed_at, received_at)) FROM webhook_events WHERE status IN ('received', 'failed'))
  )
$$;
