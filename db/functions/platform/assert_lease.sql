-- Callers: churn_worker
-- Only for Workers of the version before `commit_streams`, which may run while a deployment is in progress.
-- Raises CS002 unless the nudge is still claimed by this owner and may be sent.
CREATE OR REPLACE FUNCTION assert_lease(p_nudge_id text, p_owner text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM nudges n
    WHERE n.company_id = app_company() AND n.id = p_nudge_id AND n.lease_owner = p_owner
      AND n.status IN ('planned', 'sending')
    FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'nudge is not claimed by this worker' USING ERRCODE = 'CS002';
  END IF;
END
$$;
