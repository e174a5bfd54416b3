-- Callers: churn_worker
-- What the contact rules need of the other customers that share an address with this one, and the
-- mark that `changed_persons` compares. One database snapshot: the function is STABLE. The states of the 50 customers
-- that changed last are read; opt-outs and sent nudges count over all of them.
CREATE OR REPLACE FUNCTION read_person(p_customer_id text, p_sent_since timestamptz) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  WITH shared AS MATERIALIZED (SELECT s.customer_id FROM customers_sharing(p_customer_id) AS s),
  latest AS MATERIALIZED (
    SELECT c.id, c.state FROM customers c
    WHERE c.company_id = app_company() AND c.id IN (SELECT s.customer_id FROM shared s)
    ORDER BY c.updated_at DESC, c.id LIMIT 50
  ),
  sent AS MATERIALIZED (
    SELECT n.* FROM nudges n
    WHERE n.company_id = app_company() AND n.customer_id IN (SELECT s.customer_id FROM shared s)
      AND (n.status IN ('planned', 'sending') OR n.sent_at > p_sent_since)
    ORDER BY coalesce(n.sent_at, n.due_at) DESC LIMIT 500
  )
  SELECT jsonb_build_object(
    'mark', person_mark(p_customer_id),
    'quarantinedUntil', (
      SELECT q.ends_at FROM customer_quarantines q WHERE q.company_id = app_company() AND q.customer_id = p_customer_id
    ),
    'isOptedOut', EXISTS (
      SELECT FROM consents o
      WHERE o.company_id = app_company() AND o.customer_id IN (SELECT s.customer_id FROM shared s)
        AND o.purpose = 'recovery_messages' AND NOT o.is_granted
    ),
    'others', coalesce((
      SELECT jsonb_agg(jsonb_build_object(
        'customerId', s.customer_id,
        'state', CASE WHEN jsonb_typeof(l.state) = 'object' THEN jsonb_build_object(
          'profile', l.state -> 'profile', 'subscriptions', l.state -> 'subscriptions', 'cases', l.state -> 'cases',
          'outreach', jsonb_build_object(
            'assignments', coalesce(l.state #> '{outreach,assignments}', '[]'),
            'optedOutAt', l.state #> '{outreach,optedOutAt}',
            'incentives', l.state #> '{outreach,incentives}'
          )
        ) END,
        'nudges', coalesce((
          SELECT jsonb_agg(jsonb_build_object(
            'id', t.id, 'caseId', t.case_id, 'step', t.step, 'channel', t.channel, 'status', t.status,
            'reason', t.reason, 'incentive', t.incentive, 'dueAt', t.due_at, 'attempts', t.attempts, 'sentAt', t.sent_at
          ) ORDER BY t.id) FROM sent t WHERE t.customer_id = s.customer_id
        ), '[]')
      ) ORDER BY s.customer_id)
      FROM shared s LEFT JOIN latest l ON l.id = s.customer_id
      WHERE l.id IS NOT NULL OR EXISTS (SELECT FROM sent t WHERE t.customer_id = s.customer_id)
    ), '[]')
  )
$$;
