-- Callers: churn_worker
-- Begins a run, in one round trip: {"refused": "paused" | "already_run" | "already_running"}, or {"fence", "replaced"}
-- with the number of expired runs that were closed. The row of job_states serializes the starts of one job.
CREATE OR REPLACE FUNCTION begin_job_run(
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

  -- A slot whose run failed counts as not run: the other heartbeat may try it.
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
