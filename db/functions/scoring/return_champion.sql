-- Callers: churn_worker
-- Rolls back to the previous champion and writes the audit entry. The new previous champion is
-- the one that served when that champion was promoted. `p_expected`: the champion to roll back from; null: any.
CREATE OR REPLACE FUNCTION return_champion(
  p_expected text, p_action text, p_change_id uuid, p_who text, p_why text, p_now timestamptz
)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_company text := app_company();
  v_now model_champions;
  v_earlier text;
BEGIN
  SELECT * INTO v_now FROM model_champions c WHERE c.company_id = v_company FOR UPDATE;
  IF v_now.champion IS NULL OR v_now.previous IS NULL THEN
    RETURN jsonb_build_object('outcome', 'nothing_before');
  END IF;
  IF p_expected IS NOT NULL AND p_expected <> v_now.champion THEN
    RETURN jsonb_build_object('outcome', 'moved_on', 'before', v_now.champion);
  END IF;
  SELECT h.champion_before INTO v_earlier FROM model_changes h
    WHERE h.company_id = v_company AND h.sha256 = v_now.previous AND h.action = 'promoted'
    ORDER BY h.at DESC, h.id DESC LIMIT 1;
  IF v_earlier = v_now.champion THEN v_earlier := NULL; END IF;
  UPDATE models m SET state = 'retired', state_changed_at = p_now
    WHERE m.company_id = v_company AND m.sha256 = v_now.champion;
  UPDATE models m SET state = 'champion', state_changed_at = p_now
    WHERE m.company_id = v_company AND m.sha256 = v_now.previous;
  UPDATE model_champions c SET champion = v_now.previous, previous = v_earlier, changed_at = p_now
    WHERE c.company_id = v_company;
  INSERT INTO model_changes (company_id, id, sha256, action, champion_before, champion_after, who, why, at)
    VALUES (v_company, p_change_id, v_now.champion, p_action, v_now.champion, v_now.previous, p_who, p_why, p_now);
  RETURN jsonb_build_object('outcome', 'changed', 'before', v_now.champion, 'after', v_now.previous);
END
$$;
