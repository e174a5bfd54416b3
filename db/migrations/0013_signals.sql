-- Records a batch of what a company itself tells of its customers: use, and support tickets. Each is an event like a
-- webhook, written once for good under the sender's own id, whoever the customer is; an id that is there already changes
-- nothing. Answers which were new, and the streams of the customers that have something to fold: one round trip, one
-- transaction. Each element of `p_events` is a delivery with its sealed payload in base64; the company is set by the caller.
CREATE FUNCTION record_signals(p_events jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_company text := app_company();
  p jsonb;
  v_placed record;
  v_received timestamptz;
  v_position jsonb;
  v_is_late boolean;
  -- Customers to fold, each with whether its whole ledger is needed.
  v_customers jsonb := '{}';
  v_new jsonb := '[]';
BEGIN
  -- In one order, so that batches that share ids wait for each other and never in a circle.
  FOR p IN SELECT e FROM jsonb_array_elements(p_events) AS e ORDER BY e ->> 'providerEventId' COLLATE "C" LOOP
    v_received := (p ->> 'receivedAt')::timestamptz;
    -- Not the customer's provider: the sender's ids are the company's, over all providers.
    INSERT INTO webhook_event_keys (company_id, provider, account, provider_event_id, event_id, received_at)
      VALUES (v_company, 'signal', '', p ->> 'providerEventId', (p ->> 'eventId')::uuid, v_received)
      ON CONFLICT DO NOTHING;
    CONTINUE WHEN NOT FOUND;
    v_new := v_new || to_jsonb(p ->> 'providerEventId');

    SELECT * INTO v_placed FROM place_facts(p);
    INSERT INTO webhook_events (
        company_id, id, provider, account, provider_event_id, type, api_version, status, subject, customer_id, occurred_at,
        received_at, next_attempt_at, payload
      ) VALUES (
        v_company, (p ->> 'eventId')::uuid, p ->> 'provider', p ->> 'account', p ->> 'providerEventId', p ->> 'type',
        p ->> 'apiVersion', p ->> 'status', v_placed.subject, v_placed.customer_id, (p ->> 'occurredAt')::timestamptz,
        v_received, CASE WHEN p ->> 'status' = 'received' THEN (p ->> 'nextAttemptAt')::timestamptz END,
        decode(p ->> 'payload', 'base64')
      );
    CONTINUE WHEN p ->> 'status' <> 'received';

    SELECT nullif(c.state -> 'position', 'null'::jsonb) INTO v_position
      FROM customers c WHERE c.company_id = v_company AND c.id = v_placed.customer_id;
    v_is_late := v_position IS NULL OR EXISTS (
      SELECT FROM jsonb_array_elements(p -> 'facts') AS f
      WHERE ((f ->> 'occurredAt')::timestamptz, (f ->> 'rank')::smallint, f ->> 'id' COLLATE "C") <= (
        (v_position ->> 'occurredAt')::timestamptz, (v_position ->> 'rank')::smallint, v_position ->> 'id' COLLATE "C"
      )
    );
    v_customers := v_customers || jsonb_build_object(
      v_placed.customer_id, v_is_late OR coalesce((v_customers -> v_placed.customer_id)::boolean, false)
    );
  END LOOP;

  RETURN jsonb_build_object('new', v_new, 'streams', coalesce((
    SELECT jsonb_agg(read_stream(c.key, NOT c.value::boolean)) FROM jsonb_each(v_customers) AS c
  ), '[]'::jsonb));
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION record_signals(jsonb) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION record_signals(jsonb) TO churn_worker;
--> statement-breakpoint
-- When the calendar brings a customer's next milestone, as of the last commit; null: it brings none.
ALTER TABLE customers ADD COLUMN milestone_due_at timestamptz;
--> statement-breakpoint
-- Customers whose milestone is due: the only ones that the job touches.
CREATE INDEX customers_milestone_due ON customers (milestone_due_at) WHERE milestone_due_at IS NOT NULL;
--> statement-breakpoint
-- Good news of customers, each once for good.
CREATE TABLE milestones (
  company_id text COLLATE "C" NOT NULL,
  customer_id text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  kind text NOT NULL CHECK (kind IN ('first_payment', 'tenure', 'usage')),
  detail jsonb NOT NULL,
  reached_at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL,
  -- none: the company did not ask for it. sending: taken by a worker; one that was lost leaves it so, as nobody can know.
  announcement text NOT NULL CHECK (announcement IN ('none', 'planned', 'sending', 'sent', 'failed', 'unknown')),
  announced_at timestamptz,
  PRIMARY KEY (company_id, customer_id, key),
  FOREIGN KEY (company_id, customer_id) REFERENCES customers (company_id, id)
);
--> statement-breakpoint
-- What is to be announced: the only rows that the job touches.
CREATE INDEX milestones_to_announce ON milestones (recorded_at) WHERE announcement = 'planned';
--> statement-breakpoint
ALTER TABLE milestones ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE milestones FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY tenant ON milestones TO churn_worker
  USING (company_id = app_company()) WITH CHECK (company_id = app_company());
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON milestones TO churn_worker;
--> statement-breakpoint
CREATE POLICY system_milestones ON customers FOR SELECT TO churn_system USING (true);
--> statement-breakpoint
CREATE POLICY system ON milestones FOR SELECT TO churn_system USING (true);
--> statement-breakpoint
GRANT SELECT (company_id, id, milestone_due_at) ON customers TO churn_system;
--> statement-breakpoint
GRANT SELECT (company_id, recorded_at, announcement) ON milestones TO churn_system;
--> statement-breakpoint
-- Companies that have customers with a milestone that is due, those that have waited longest first: of `p_companies` only,
-- unless that is null.
CREATE FUNCTION milestone_companies(p_now timestamptz, p_limit integer, p_companies text[]) RETURNS TABLE (company_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT d.company_id FROM (
    SELECT c.company_id, c.milestone_due_at FROM customers c
    WHERE c.milestone_due_at <= p_now AND (p_companies IS NULL OR c.company_id = ANY (p_companies)) ORDER BY c.milestone_due_at LIMIT p_limit
  ) AS d GROUP BY d.company_id ORDER BY min(d.milestone_due_at)
$$;
--> statement-breakpoint
-- Companies that have milestones to announce, those that have waited longest first: of `p_companies` only, unless that is
-- null.
CREATE FUNCTION announcing_companies(p_limit integer, p_companies text[]) RETURNS TABLE (company_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT d.company_id FROM (
    SELECT m.company_id, m.recorded_at FROM milestones m
    WHERE m.announcement = 'planned' AND (p_companies IS NULL OR m.company_id = ANY (p_companies)) ORDER BY m.recorded_at LIMIT p_limit
  ) AS d GROUP BY d.company_id ORDER BY min(d.recorded_at)
$$;
--> statement-breakpoint
DO $$
BEGIN
  GRANT CREATE ON SCHEMA public TO churn_system;
  ALTER FUNCTION milestone_companies(timestamptz, integer, text[]) OWNER TO churn_system;
  ALTER FUNCTION announcing_companies(integer, text[]) OWNER TO churn_system;
  REVOKE CREATE ON SCHEMA public FROM churn_system;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION milestone_companies(timestamptz, integer, text[]), announcing_companies(integer, text[]) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION milestone_companies(timestamptz, integer, text[]), announcing_companies(integer, text[]) TO churn_worker;
