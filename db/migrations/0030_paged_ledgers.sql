-- The next facts of a customer in ledger order, at most `p_limit` (null: 2000): those after `p_after` (null: from the beginning), as
-- `facts`, and as `next` where the page after it begins; null: there is none. `p_is_whole`: with the facts of all objects
-- that came to belong to the customer, and with what we did ourselves; otherwise only what a snapshot does not have yet.
-- `knownAt` is when a fact could first be known of the customer: it was written down, and its object tied to the customer.
CREATE OR REPLACE FUNCTION ledger_page(
  p_customer customers, p_is_whole boolean, p_after jsonb, p_limit integer
)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_at timestamptz := coalesce((p_after ->> 'occurredAt')::timestamptz, '-infinity');
  v_rank smallint := coalesce((p_after ->> 'rank')::smallint, -1);
  v_id text COLLATE "C" := coalesce(p_after ->> 'id', '');
  v_limit integer := coalesce(p_limit, 2000);
  v_facts jsonb;
  v_next jsonb;
BEGIN
  -- One look-up per subject, each in the order of the index and ended by the limit, however fresh the table.
  WITH subjects AS MATERIALIZED (
    SELECT p_customer.provider_customer_id AS id, NULL::timestamptz AS linked_at
    UNION ALL
    SELECT l.object_id, coalesce(l.linked_at, l.created_at) FROM object_links l
      WHERE p_is_whole AND l.company_id = p_customer.company_id AND l.provider = p_customer.provider AND l.is_customer
        AND l.holds_facts AND l.root_id = p_customer.provider_customer_id
  ),
  -- One more than the page holds, to know whether there is another.
  found AS MATERIALIZED (
    SELECT f.*, row_number() OVER (ORDER BY f.occurred_at, f.rank, f.id) AS place
    FROM subjects s CROSS JOIN LATERAL (
      SELECT o.id, o.occurred_at, o.rank, o.body,
        greatest(coalesce(o.known_at, o.recorded_at), s.linked_at) AS known_at
      FROM facts o
      WHERE o.company_id = p_customer.company_id AND o.provider = p_customer.provider AND o.subject = s.id
        -- Names the partitions; the row comparison alone would not.
        AND o.occurred_at >= v_at AND (o.occurred_at, o.rank, o.id) > (v_at, v_rank, v_id)
        -- What we did ourselves is written in one transaction with the state that has it, and moves no position.
        AND (p_is_whole OR o.rank NOT BETWEEN 69 AND 76)
      ORDER BY o.occurred_at, o.rank, o.id LIMIT v_limit + 1
    ) AS f
    ORDER BY f.occurred_at, f.rank, f.id LIMIT v_limit + 1
  )
  SELECT
    jsonb_agg(
      jsonb_build_object('id', f.id, 'occurredAt', f.occurred_at, 'body', f.body, 'knownAt', f.known_at) ORDER BY f.place
    ) FILTER (WHERE f.place <= v_limit),
    jsonb_agg(
      jsonb_build_object('occurredAt', f.occurred_at, 'rank', f.rank, 'id', f.id)
    ) FILTER (WHERE f.place = v_limit AND EXISTS (SELECT FROM found m WHERE m.place > v_limit)) -> 0
  INTO v_facts, v_next FROM found f;
  RETURN jsonb_build_object('facts', coalesce(v_facts, '[]'), 'next', v_next);
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION ledger_page(customers, boolean, jsonb, integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION ledger_page(customers, boolean, jsonb, integer) TO churn_worker;
--> statement-breakpoint
-- A further page of a customer's facts, after `p_after`, as `ledger_page` answers it. Raises CS001 when the customer no longer
-- has the version of the first page: pages of two versions are no reading of the customer, and it is read again.
CREATE OR REPLACE FUNCTION read_facts(p_customer_id text, p_version integer, p_is_whole boolean, p_after jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_customer customers;
BEGIN
  SELECT * INTO v_customer FROM customers c WHERE c.company_id = app_company() AND c.id = p_customer_id;
  IF v_customer.version IS DISTINCT FROM p_version THEN
    RAISE EXCEPTION 'customer has moved on' USING ERRCODE = 'CS001';
  END IF;
  RETURN ledger_page(v_customer, p_is_whole, p_after, NULL);
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION read_facts(text, integer, boolean, jsonb) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION read_facts(text, integer, boolean, jsonb) TO churn_worker;
--> statement-breakpoint
DROP FUNCTION read_ledgers(text[]);
--> statement-breakpoint
-- The ledgers of customers in order of ids, about `p_limit` facts in all: the last one answered may go on at `next`, and those
-- after it are not answered. `p_after` is the `next` of the first customer, whose earlier facts were read before.
CREATE OR REPLACE FUNCTION read_ledgers(p_customers text[], p_after jsonb, p_limit integer)
RETURNS TABLE (customer_id text, facts jsonb, next jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_customer customers;
  v_after jsonb := p_after;
  v_left integer := p_limit;
  v_page jsonb;
BEGIN
  FOR v_customer IN
    SELECT c.* FROM customers c WHERE c.company_id = app_company() AND c.id = ANY (p_customers) ORDER BY c.id COLLATE "C"
  LOOP
    EXIT WHEN v_left <= 0;
    v_page := ledger_page(v_customer, true, v_after, v_left);
    customer_id := v_customer.id;
    facts := v_page -> 'facts';
    next := nullif(v_page -> 'next', 'null');
    RETURN NEXT;
    v_left := v_left - jsonb_array_length(facts);
    v_after := NULL;
  END LOOP;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION read_ledgers(text[], jsonb, integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION read_ledgers(text[], jsonb, integer) TO churn_worker;
--> statement-breakpoint
-- Everything that folding and deciding needs of one customer. `p_after_snapshot`: only the facts that the snapshot does
-- not have yet; otherwise the whole ledger, with the facts of all objects that came to belong to the customer. Of many facts
-- these are the first page; `next`, which is null where there is no other, says where `read_facts` goes on.
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
