-- Raises CS001 unless the customers who share an address with this one are as they were read, and keeps every other sender
-- to the same person waiting until the end of the transaction: of two messages decided at once, the second is decided
-- again. The locks are one for each address, taken in one order by everybody, after the customer's own row.
CREATE OR REPLACE FUNCTION assert_person(p_customer_id text, p_mark text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_lock bigint;
BEGIN
  FOR v_lock IN
    SELECT DISTINCT hashtextextended('person|' || a.company_id || '|' || a.kind || '|' || encode(a.address, 'hex'), 0)
      FROM customer_addresses a WHERE a.company_id = app_company() AND a.customer_id = p_customer_id
      ORDER BY 1
  LOOP
    PERFORM pg_advisory_xact_lock(v_lock);
  END LOOP;
  -- A statement of its own, so that it sees what was committed while this one waited.
  IF person_mark(p_customer_id) IS DISTINCT FROM p_mark THEN
    RAISE EXCEPTION 'another customer of the person has moved on' USING ERRCODE = 'CS001';
  END IF;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION assert_person(text, text) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION assert_person(text, text) TO churn_worker;
--> statement-breakpoint
-- Customers whose addresses are not indexed under this version of the key, those never indexed first.
CREATE OR REPLACE FUNCTION contacts_to_index(p_version integer, p_limit integer)
RETURNS TABLE (company_id text, customer_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT p.company_id, p.customer_id FROM public.customer_pii p
  WHERE coalesce(p.indexed_version, 0) < p_version
  ORDER BY coalesce(p.indexed_version, 0), p.company_id, p.customer_id LIMIT p_limit
$$;
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_system TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_system;
  ALTER FUNCTION contacts_to_index(integer, integer) OWNER TO churn_system;
  REVOKE CREATE ON SCHEMA public FROM churn_system;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION contacts_to_index(integer, integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION contacts_to_index(integer, integer) TO churn_worker;
--> statement-breakpoint
-- The other customers of the company who share an address with this one, with their versions.
CREATE OR REPLACE FUNCTION customers_sharing(p_customer_id text) RETURNS TABLE (customer_id text, version integer)
LANGUAGE sql STABLE AS $$
  SELECT DISTINCT c.id, c.version
    FROM customer_addresses own
    JOIN customer_addresses shared
      ON shared.company_id = own.company_id AND shared.kind = own.kind AND shared.address = own.address
    JOIN customers c ON c.company_id = shared.company_id AND c.id = shared.customer_id
    WHERE own.company_id = app_company() AND own.customer_id = p_customer_id AND shared.customer_id <> p_customer_id
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION customers_sharing(text) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION customers_sharing(text) TO churn_worker;
--> statement-breakpoint
-- Indexes the addresses of a contact that is stored already, unless it has changed since it was read (SHA-256 of what is
-- sealed): then whoever changed it has indexed it, or the next run does. True when it was indexed.
CREATE OR REPLACE FUNCTION index_contact(
  p_customer_id text, p_sealed_sha256 text, p_kinds text[], p_addresses text[], p_version integer
)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM customer_pii p
    WHERE p.company_id = app_company() AND p.customer_id = p_customer_id
      AND encode(sha256(p.sealed), 'hex') = p_sealed_sha256
    FOR UPDATE;
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM set_addresses(p_customer_id, p_kinds, p_addresses, p_version);
  RETURN true;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION index_contact(text, text, text[], text[], integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION index_contact(text, text, text[], text[], integer) TO churn_worker;
--> statement-breakpoint
-- What the customers who share an address with this one have come to: another text as soon as one of them moves on, joins
-- or leaves.
CREATE OR REPLACE FUNCTION person_mark(p_customer_id text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT md5(coalesce(string_agg(s.customer_id || ' ' || s.version, ',' ORDER BY s.customer_id COLLATE "C"), ''))
    FROM customers_sharing(p_customer_id) AS s
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION person_mark(text) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION person_mark(text) TO churn_worker;
--> statement-breakpoint
-- What the contact rules need of the other customers who share an address with this one, and the mark by which
-- `assert_person` knows whether that still holds. One snapshot: the function is STABLE. Of very many customers the states
-- of the latest changed ones are read; opt-outs and what was sent count over all of them.
CREATE OR REPLACE FUNCTION read_person(p_customer_id text, p_sent_since timestamptz) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  WITH shared AS MATERIALIZED (SELECT s.customer_id FROM customers_sharing(p_customer_id) AS s),
  latest AS MATERIALIZED (
    SELECT c.id, c.state FROM customers c
    WHERE c.company_id = app_company() AND c.id IN (SELECT s.customer_id FROM shared s)
    ORDER BY c.updated_at DESC, c.id LIMIT 50
  ),
  told AS MATERIALIZED (
    SELECT n.* FROM nudges n
    WHERE n.company_id = app_company() AND n.customer_id IN (SELECT s.customer_id FROM shared s)
      AND (n.status IN ('planned', 'sending') OR n.sent_at > p_sent_since)
    ORDER BY coalesce(n.sent_at, n.due_at) DESC LIMIT 500
  )
  SELECT jsonb_build_object(
    'mark', person_mark(p_customer_id),
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
          ) ORDER BY t.id) FROM told t WHERE t.customer_id = s.customer_id
        ), '[]')
      ) ORDER BY s.customer_id)
      FROM shared s LEFT JOIN latest l ON l.id = s.customer_id
      WHERE l.id IS NOT NULL OR EXISTS (SELECT FROM told t WHERE t.customer_id = s.customer_id)
    ), '[]')
  )
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION read_person(text, timestamptz) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION read_person(text, timestamptz) TO churn_worker;
--> statement-breakpoint
-- The addresses of a customer are these from now on. Earlier ones stay where the customer has opted out.
CREATE OR REPLACE FUNCTION set_addresses(p_customer_id text, p_kinds text[], p_addresses text[], p_version integer)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM customer_addresses a
    WHERE a.company_id = app_company() AND a.customer_id = p_customer_id
      AND encode(a.address, 'hex') <> ALL (p_addresses)
      AND NOT EXISTS (
        SELECT FROM consents o
        WHERE o.company_id = a.company_id AND o.customer_id = a.customer_id
          AND o.purpose = 'recovery_messages' AND NOT o.is_granted
      );
  INSERT INTO customer_addresses (company_id, customer_id, kind, address)
    SELECT app_company(), p_customer_id, given.kind, decode(given.address, 'hex')
      FROM unnest(p_kinds, p_addresses) AS given (kind, address)
    ON CONFLICT DO NOTHING;
  UPDATE customer_pii p SET indexed_version = p_version
    WHERE p.company_id = app_company() AND p.customer_id = p_customer_id;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION set_addresses(text, text[], text[], integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION set_addresses(text, text[], text[], integer) TO churn_worker;
