-- Callers: churn_worker
-- Sets a model of the transaction's company to shadow or retired and writes the audit entry.
-- Retiring the champion leaves the company without one of its own.
CREATE OR REPLACE FUNCTION set_model_state(
  p_sha256 text, p_state text, p_shadows_max integer, p_change_id uuid, p_who text, p_why text, p_now timestamptz
)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_company text := app_company();
  v_before text;
  v_state text;
  v_after text;
BEGIN
  INSERT INTO model_champions (company_id, changed_at) VALUES (v_company, p_now) ON CONFLICT DO NOTHING;
  SELECT c.champion INTO v_before FROM model_champions c WHERE c.company_id = v_company FOR UPDATE;
  SELECT m.state INTO v_state FROM models m WHERE m.company_id = v_company AND m.sha256 = p_sha256;
  IF NOT FOUND THEN RETURN jsonb_build_object('outcome', 'not_found'); END IF;
  IF v_state = p_state THEN RETURN jsonb_build_object('outcome', 'unchanged', 'before', v_before, 'after', v_before); END IF;
  IF p_state = 'shadow' THEN
    IF v_state = 'champion' THEN RETURN jsonb_build_object('outcome', 'is_champion'); END IF;
    IF (SELECT count(*) FROM models m WHERE m.company_id = v_company AND m.state = 'shadow') >= p_shadows_max THEN
      RETURN jsonb_build_object('outcome', 'too_many_shadows');
    END IF;
  END IF;
  v_after := v_before;
  IF v_state = 'champion' THEN
    v_after := NULL;
    UPDATE model_champions c SET champion = NULL, previous = NULL, changed_at = p_now WHERE c.company_id = v_company;
  END IF;
  UPDATE models m SET state = p_state, state_changed_at = p_now WHERE m.company_id = v_company AND m.sha256 = p_sha256;
  INSERT INTO model_changes (company_id, id, sha256, action, champion_before, champion_after, who, why, at)
    VALUES (
      v_company, p_change_id, p_sha256, CASE p_state WHEN 'shadow' THEN 'shadowed' ELSE 'retired' END,
      v_before, v_after, p_who, p_why, p_now
    );
  RETURN jsonb_build_object('outcome', 'changed', 'before', v_before, 'after', v_after);
END
$$;
