-- Callers: churn_worker
-- Everything that folding and deciding needs of one customer. `p_after_snapshot`: only the facts that the snapshot does
-- not have yet; otherwise the whole ledger, with the facts of all objects that came to belong to the customer.
CREATE OR REPLACE FUNCTION read_stream(p_customer_id text, p_after_snapshot boolean) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_company text := app_company();
  v_customer customers;
  v_position jsonb;
  v_subject text COLLATE "C";
  v_facts jsonb;
BEGIN
  SELECT * INTO v_customer FROM customers c WHERE c.company_id = v_company AND c.id = p_customer_id;
  IF NOT FOUND THEN RETURN NULL; END IF;
  v_position := CASE WHEN p_after_snapshot THEN nullif(v_customer.state -> 'position', 'null'::jsonb) END;

  IF v_position IS NOT NULL THEN
    SELECT jsonb_agg(jsonb_build_object('id', f.id, 'occurredAt', f.occurred_at, 'body', f.body)) INTO v_facts
      FROM facts f
      WHERE f.company_id = v_company AND f.provider = v_customer.provider
        AND f.subject = v_customer.provider_customer_id
        -- Names the partitions; the row comparison alone would not.
        AND f.occurred_at >= (v_position ->> 'occurredAt')::timestamptz
        AND (f.occurred_at, f.rank, f.id COLLATE "C") > (
          (v_position ->> 'occurredAt')::timestamptz, (v_position ->> 'rank')::smallint, v_position ->> 'id' COLLATE "C"
        )
        -- What we did ourselves is written in one transaction with the state that has it, and moves no position.
        AND f.rank NOT BETWEEN 69 AND 76;
  ELSE
    -- One look-up per subject, so that each uses the whole index, however fresh the table.
    v_facts := '[]';
    FOR v_subject IN
      SELECT v_customer.provider_customer_id
      UNION ALL
      SELECT l.object_id FROM object_links l
        WHERE l.company_id = v_company AND l.provider = v_customer.provider AND l.is_customer AND l.holds_facts
          AND l.root_id = v_customer.provider_customer_id
    LOOP
      v_facts := v_facts || coalesce((
        SELECT jsonb_agg(jsonb_build_object('id', f.id, 'occurredAt', f.occurred_at, 'body', f.body))
          FROM facts f
          WHERE f.company_id = v_company AND f.provider = v_customer.provider AND f.subject = v_subject
      ), '[]');
    END LOOP;
  END IF;

  RETURN jsonb_build_object(
    'customer', jsonb_build_object(
      'id', v_customer.id, 'provider', v_customer.provider, 'providerCustomerId', v_customer.provider_customer_id,
      'version', v_customer.version, 'createdAt', v_customer.created_at
    ),
    'state', v_customer.state,
    'isWhole', v_position IS NULL,
    'facts', coalesce(v_facts, '[]'::jsonb),
    'nudges', coalesce((
      SELECT jsonb_agg(jsonb_build_object(
        'id', n.id, 'caseId', n.case_id, 'step', n.step, 'channel', n.channel, 'status', n.status, 'reason', n.reason,
        'incentive', n.incentive, 'dueAt', n.due_at, 'attempts', n.attempts, 'sentAt', n.sent_at
      ) ORDER BY n.id)
      FROM (
        SELECT * FROM nudges m WHERE m.company_id = v_company AND m.customer_id = v_customer.id
        ORDER BY m.due_at DESC, m.id LIMIT 2000
      ) AS n
    ), '[]'::jsonb),
    'companyName', (SELECT c.name FROM companies c WHERE c.id = v_company),
    'settings', (SELECT s.settings FROM company_settings s WHERE s.company_id = v_company),
    'contact', (
      SELECT encode(p.sealed, 'base64') FROM customer_pii p WHERE p.company_id = v_company AND p.customer_id = v_customer.id
    ),
    'dataKey', (
      SELECT encode(k.wrapped, 'base64') FROM customer_keys k WHERE k.company_id = v_company AND k.customer_id = v_customer.id
    )
  );
END
$$;
