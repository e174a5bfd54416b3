-- Callers: churn_worker
-- Makes a model the champion of the transaction's company and writes the audit entry. Returns
-- {"outcome": "changed" | "unchanged" | "not_found", "before", "after"}.
CREATE OR REPLACE FUNCTION promote_model(p_sha256 text, p_change_id uuid, p_gates jsonb, p_who text, p_why text, p_now timestamptz)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_company text := app_company();
  v_before text;
BEGIN
  INSERT INTO model_champions (company_id, changed_at) VALUES (v_company, p_now) ON CONFLICT DO NOTHING;
  SELECT c.champion INTO v_before FROM model_champions c WHERE c.company_id = v_company FOR UPDATE;
  IF NOT EXISTS (SELECT FROM models m WHERE m.company_id = v_company AND m.sha256 = p_sha256) THEN
    RETURN jsonb_build_object('outcome', 'not_found');
  END IF;
  IF v_before = p_sha256 THEN
    RETURN jsonb_build_object('outcome', 'unchanged', 'before', v_before, 'after', v_before);
  END IF;
  UPDATE models m SET state = 'retired', state_changed_at = p_now WHERE m.company_id = v_company AND m.state = 'champion';
  UPDATE models m SET state = 'champion', state_changed_at = p_now, refused_at = NULL, refused_reason = NULL
    WHERE m.company_id = v_company AND m.sha256 = p_sha256;
  UPDATE model_champions c SET champion = p_sha256, previous = v_before, changed_at = p_now WHERE c.company_id = v_company;
  INSERT INTO model_changes (company_id, id, sha256, action, champion_before, champion_after, gates, who, why, at)
    VALUES (v_company, p_change_id, p_sha256, 'promoted', v_before, p_sha256, p_gates, p_who, p_why, p_now);
  RETURN jsonb_build_object('outcome', 'changed', 'before', v_before, 'after', p_sha256);
END
$$;
