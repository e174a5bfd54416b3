-- Callers: churn_worker
-- Everything that fold and decide need of one customer. `p_after_snapshot`: only the facts that
-- the snapshot does not contain yet; otherwise the whole ledger, with the facts of all objects that were linked to the
-- customer. `facts` is the first page; `next` is where `read_facts` continues, null when there is no other page.
CREATE OR REPLACE FUNCTION read_stream(p_customer_id text, p_after_snapshot boolean) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_company text := app_company();
  v_customer customers;
  v_position jsonb;
  v_page jsonb;
BEGIN
  SELECT * INTO v_customer FROM customers c WHERE c.company_id = v_company AND c.id = p_customer_id;
  IF NOT FOUND THEN RETURN NULL; END IF;
  v_position := CASE WHEN p_after_snapshot THEN nullif(v_customer.state -> 'position', 'null'::jsonb) END;

  v_page := ledger_page(v_customer, v_position IS NULL, v_position, NULL);

  RETURN jsonb_build_object(
    'customer', jsonb_build_object(
      'id', v_customer.id, 'provider', v_customer.provider, 'providerCustomerId', v_customer.provider_customer_id,
      'version', v_customer.version, 'createdAt', v_customer.created_at
    ),
    'state', v_customer.state,
    'isWhole', v_position IS NULL,
    'facts', v_page -> 'facts',
    'next', v_page -> 'next',
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
