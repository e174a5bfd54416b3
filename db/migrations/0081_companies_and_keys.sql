-- Adds an API key of the company of this transaction, or an operator's outside of every company, and lets the key that
-- it replaces (`p_replaces`, may be null) expire at `p_replaced_until` at the latest. False when that key is not there
-- any more: then nothing is added.
CREATE OR REPLACE FUNCTION add_api_key(
  p_id text, p_name text, p_role text, p_hash bytea, p_prefix text, p_by text, p_now timestamptz, p_expires_at timestamptz,
  p_replaces text, p_replaced_until timestamptz
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  company text := nullif(public.app_company(), '');
BEGIN
  IF p_replaces IS NOT NULL THEN
    UPDATE public.api_keys SET expires_at = least(expires_at, p_replaced_until)
      WHERE company_id IS NOT DISTINCT FROM company AND id = p_replaces AND revoked_at IS NULL
        AND (expires_at IS NULL OR expires_at > p_now);
    IF NOT FOUND THEN RETURN false; END IF;
  END IF;
  INSERT INTO public.api_keys (company_id, id, name, role, hash, prefix, created_by, created_at, expires_at)
    VALUES (company, p_id, p_name, p_role, p_hash, p_prefix, p_by, p_now, p_expires_at);
  RETURN true;
END
$$;
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_registry TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_registry;
  ALTER FUNCTION add_api_key(text, text, text, bytea, text, text, timestamptz, timestamptz, text, timestamptz) OWNER TO churn_registry;
  REVOKE CREATE ON SCHEMA public FROM churn_registry;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION add_api_key(text, text, text, bytea, text, text, timestamptz, timestamptz, text, timestamptz) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION add_api_key(text, text, text, bytea, text, text, timestamptz, timestamptz, text, timestamptz) TO churn_worker;
--> statement-breakpoint
-- Adds a company with its accounts (`[{"provider", "accountId"}]`) at once; raises unique_violation when the company or
-- one of the accounts is there already.
CREATE OR REPLACE FUNCTION add_company(p_id text, p_name text, p_accounts jsonb, p_now timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO public.companies (id, name, created_at) VALUES (p_id, p_name, p_now);
  INSERT INTO public.company_accounts (company_id, provider, account_id)
    SELECT p_id, a.account ->> 'provider', a.account ->> 'accountId' FROM jsonb_array_elements(p_accounts) AS a (account);
$$;
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_registry TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_registry;
  ALTER FUNCTION add_company(text, text, jsonb, timestamptz) OWNER TO churn_registry;
  REVOKE CREATE ON SCHEMA public FROM churn_registry;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION add_company(text, text, jsonb, timestamptz) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION add_company(text, text, jsonb, timestamptz) TO churn_worker;
--> statement-breakpoint
-- Renames a company (null: as it is), and adds and removes accounts (`[{"provider", "accountId"}]`), at once. False when
-- there is no such company; raises unique_violation for an account that another company has.
CREATE OR REPLACE FUNCTION change_company(p_id text, p_name text, p_added jsonb, p_removed jsonb) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE public.companies SET name = coalesce(p_name, name) WHERE id = p_id;
  IF NOT FOUND THEN RETURN false; END IF;
  DELETE FROM public.company_accounts a USING jsonb_array_elements(p_removed) AS r (account)
    WHERE a.company_id = p_id AND a.provider = r.account ->> 'provider' AND a.account_id = r.account ->> 'accountId';
  INSERT INTO public.company_accounts (company_id, provider, account_id)
    SELECT p_id, n.account ->> 'provider', n.account ->> 'accountId' FROM jsonb_array_elements(p_added) AS n (account)
    WHERE NOT EXISTS (
      SELECT FROM public.company_accounts a
      WHERE a.company_id = p_id AND a.provider = n.account ->> 'provider' AND a.account_id = n.account ->> 'accountId');
  RETURN true;
END
$$;
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_registry TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_registry;
  ALTER FUNCTION change_company(text, text, jsonb, jsonb) OWNER TO churn_registry;
  REVOKE CREATE ON SCHEMA public FROM churn_registry;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION change_company(text, text, jsonb, jsonb) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION change_company(text, text, jsonb, jsonb) TO churn_worker;
--> statement-breakpoint
DROP FUNCTION company_of(text, text, text);
--> statement-breakpoint
-- The company of a delivery: the one in the path, else the one with the provider's account; no row: unknown. Like every
-- function of churn_system it reads all tenants, returns only ids, times and counts, and its owner can read no more.
CREATE OR REPLACE FUNCTION company_of(p_path text, p_provider text, p_account text)
RETURNS TABLE (company text, closed_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT c.id, c.closed_at FROM public.companies c
  WHERE c.id = CASE WHEN p_path IS NOT NULL THEN p_path
    ELSE (SELECT a.company_id FROM public.company_accounts a WHERE a.provider = p_provider AND a.account_id = p_account)
  END
$$;
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_system TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_system;
  ALTER FUNCTION company_of(text, text, text) OWNER TO churn_system;
  REVOKE CREATE ON SCHEMA public FROM churn_system;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION company_of(text, text, text) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION company_of(text, text, text) TO churn_worker;
--> statement-breakpoint
DROP FUNCTION find_api_key(bytea);
--> statement-breakpoint
-- The owner of an API key, without a company for an operator's; no row when it is unknown or revoked.
CREATE OR REPLACE FUNCTION find_api_key(p_hash bytea)
RETURNS TABLE (company_id text, id text, role text, expires_at timestamptz, closed_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT k.company_id, k.id, k.role, k.expires_at, c.closed_at
  FROM public.api_keys k LEFT JOIN public.companies c ON c.id = k.company_id
  WHERE k.hash = p_hash AND k.revoked_at IS NULL
$$;
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_system TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_system;
  ALTER FUNCTION find_api_key(bytea) OWNER TO churn_system;
  REVOKE CREATE ON SCHEMA public FROM churn_system;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION find_api_key(bytea) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION find_api_key(bytea) TO churn_worker;
--> statement-breakpoint
-- Who has one of these addresses, in any company: ids only.
CREATE OR REPLACE FUNCTION find_people(p_indexes text[]) RETURNS TABLE (company_id text, person_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT DISTINCT a.company_id, a.person_id FROM public.person_addresses a JOIN public.companies c ON c.id = a.company_id
  WHERE a.address_index = ANY (p_indexes) AND c.closed_at IS NULL
  ORDER BY a.company_id, a.person_id
$$;
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_system TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_system;
  ALTER FUNCTION find_people(text[]) OWNER TO churn_system;
  REVOKE CREATE ON SCHEMA public FROM churn_system;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION find_people(text[]) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION find_people(text[]) TO churn_worker;
--> statement-breakpoint
-- Companies with their accounts, the newest first, after the one of `p_after_at` and `p_after_id` (null: from the start);
-- or the one of `p_id`.
CREATE OR REPLACE FUNCTION list_companies(p_id text, p_after_at timestamptz, p_after_id text, p_limit integer)
RETURNS TABLE (id text, name text, created_at timestamptz, closed_at timestamptz, closed_by text, accounts jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT c.id, c.name, c.created_at, c.closed_at, c.closed_by, (
    SELECT coalesce(jsonb_agg(jsonb_build_object('provider', a.provider, 'accountId', a.account_id)
      ORDER BY a.provider, a.account_id), '[]')
    FROM public.company_accounts a WHERE a.company_id = c.id
  )
  FROM public.companies c
  WHERE (p_id IS NULL OR c.id = p_id)
    AND (p_after_at IS NULL OR (date_trunc('milliseconds', c.created_at), c.id) < (p_after_at, p_after_id COLLATE "C"))
  ORDER BY date_trunc('milliseconds', c.created_at) DESC, c.id DESC LIMIT p_limit
$$;
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_registry TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_registry;
  ALTER FUNCTION list_companies(text, timestamptz, text, integer) OWNER TO churn_registry;
  REVOKE CREATE ON SCHEMA public FROM churn_registry;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION list_companies(text, timestamptz, text, integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION list_companies(text, timestamptz, text, integer) TO churn_worker;
--> statement-breakpoint
-- Unmapped events whose account has a company now, oldest first: registered
-- for the company in the path, or for any company if the path names none; or the deployment's own account at Whop
-- (`p_key_account`, or all with `p_is_any`), which is the default company's. Ids only; the caller reads each event
-- again and determines its company. Events of a closed company wait until it is open again.
CREATE OR REPLACE FUNCTION mappable_events(p_key_account text, p_is_any boolean, p_default_company text, p_limit integer)
RETURNS TABLE (id uuid, path text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT u.id, u.path FROM public.unmapped_events u
  LEFT JOIN public.company_accounts a ON a.provider = u.provider AND a.account_id = u.account
  LEFT JOIN public.companies c ON c.id = a.company_id
  WHERE CASE WHEN a.company_id IS NOT NULL THEN c.closed_at IS NULL AND u.path IN ('', a.company_id)
    ELSE u.provider = 'whop' AND NOT u.is_own_secret AND u.path IN ('', p_default_company)
      AND (p_is_any OR u.account = p_key_account) END
  ORDER BY u.received_at, u.id LIMIT p_limit
$$;
--> statement-breakpoint
-- Records that a key was used, unless a use after `p_since` is recorded already.
CREATE OR REPLACE FUNCTION mark_api_key_used(p_hash bytea, p_now timestamptz, p_since timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE public.api_keys SET last_used_at = p_now
    WHERE hash = p_hash AND (last_used_at IS NULL OR last_used_at <= p_since)
$$;
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_registry TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_registry;
  ALTER FUNCTION mark_api_key_used(bytea, timestamptz, timestamptz) OWNER TO churn_registry;
  REVOKE CREATE ON SCHEMA public FROM churn_registry;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION mark_api_key_used(bytea, timestamptz, timestamptz) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION mark_api_key_used(bytea, timestamptz, timestamptz) TO churn_worker;
--> statement-breakpoint
-- The accounts to reconcile, of all companies that are not closed, the longest waiting first: the
-- registered ones, and that of the deployment's own key (empty), which is the default company's. Each with the
-- positions of its comparisons.
CREATE OR REPLACE FUNCTION reconciliation_targets(p_default_company text)
RETURNS TABLE (company_id text, provider text, account text, positions jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT t.company_id, t.provider, t.account, coalesce(p.positions, '[]')
  FROM (
    SELECT a.company_id, a.provider, a.account_id AS account FROM public.company_accounts a
    JOIN public.companies c ON c.id = a.company_id AND c.closed_at IS NULL
    UNION ALL
    SELECT c.id, p.name, '' FROM public.companies c, unnest(ARRAY['stripe', 'whop']) AS p (name) WHERE c.id = p_default_company
  ) AS t
  CROSS JOIN LATERAL (
    SELECT max(r.stepped_at) AS stepped_at, jsonb_agg(jsonb_build_object(
        'kind', r.kind, 'completeUntil', r.complete_until, 'isOpen', r.is_open, 'steppedAt', r.stepped_at
      )) AS positions
    FROM public.reconciliation_positions r
    WHERE r.company_id = t.company_id AND r.provider = t.provider AND r.account = t.account
  ) AS p
  ORDER BY p.stepped_at NULLS FIRST, t.company_id, t.provider, t.account
$$;
--> statement-breakpoint
-- Revokes an API key of the company of this transaction, or an operator's outside of every company. False: there is none.
CREATE OR REPLACE FUNCTION revoke_api_key(p_id text, p_now timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE public.api_keys SET revoked_at = coalesce(revoked_at, p_now)
    WHERE company_id IS NOT DISTINCT FROM nullif(public.app_company(), '') AND id = p_id;
  RETURN FOUND;
END
$$;
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_registry TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_registry;
  ALTER FUNCTION revoke_api_key(text, timestamptz) OWNER TO churn_registry;
  REVOKE CREATE ON SCHEMA public FROM churn_registry;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION revoke_api_key(text, timestamptz) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION revoke_api_key(text, timestamptz) TO churn_worker;
--> statement-breakpoint
-- Closes a company at `p_closed_at`, or opens it (null). A closed company keeps its first time. Returns the ids of all
-- companies that are closed now; null when there is no such company. The row's lock serialises changes of one company;
-- the lock below those of several, so that the list of the last caller is complete.
CREATE OR REPLACE FUNCTION set_company_closed(p_id text, p_closed_at timestamptz, p_by text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('companies_closed', 0));
  UPDATE public.companies SET
    closed_at = CASE WHEN p_closed_at IS NULL THEN NULL ELSE coalesce(closed_at, p_closed_at) END,
    closed_by = CASE WHEN p_closed_at IS NULL THEN NULL ELSE coalesce(closed_by, p_by) END
    WHERE id = p_id;
  IF NOT FOUND THEN RETURN NULL; END IF;
  RETURN (SELECT coalesce(jsonb_agg(c.id ORDER BY c.id), '[]') FROM public.companies c WHERE c.closed_at IS NOT NULL);
END
$$;
--> statement-breakpoint
DO $$
BEGIN
  EXECUTE format('GRANT churn_registry TO %I', current_user);
  GRANT CREATE ON SCHEMA public TO churn_registry;
  ALTER FUNCTION set_company_closed(text, timestamptz, text) OWNER TO churn_registry;
  REVOKE CREATE ON SCHEMA public FROM churn_registry;
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION set_company_closed(text, timestamptz, text) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION set_company_closed(text, timestamptz, text) TO churn_worker;
--> statement-breakpoint
-- Counts of due and overdue nudges and of unprocessed events, over all
-- companies; nudges of closed companies are not due. A replayed event counts from its replay.
CREATE OR REPLACE FUNCTION work_in_hand(p_now timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  WITH closed AS (SELECT coalesce(array_agg(c.id), '{}') AS ids FROM public.companies c WHERE c.closed_at IS NOT NULL)
  SELECT jsonb_build_object(
    'due', (SELECT count(*) FROM (
      SELECT FROM public.nudges WHERE status IN ('planned', 'sending') AND due_at <= p_now
        AND company_id <> ALL (closed.ids) LIMIT 10000) AS d),
    'overdue', (SELECT count(*) FROM (
      SELECT FROM public.nudges WHERE status IN ('planned', 'sending') AND due_at <= p_now - interval '1 hour'
        AND company_id <> ALL (closed.ids) LIMIT 10000) AS o),
    'leased', (SELECT count(*) FROM (
      SELECT FROM public.nudges WHERE status IN ('planned', 'sending') AND due_at <= p_now AND lease_until > p_now LIMIT 10000) AS l),
    'nextDueAt', least(
      (SELECT min(due_at) FROM public.nudges WHERE status IN ('planned', 'sending') AND due_at > p_now
        AND company_id <> ALL (closed.ids)),
      (SELECT min(greatest(due_at, lease_until, p_now)) FROM (
        SELECT due_at, lease_until FROM public.nudges WHERE status IN ('planned', 'sending') AND due_at <= p_now
          AND company_id <> ALL (closed.ids) LIMIT 10000) AS n)
    ),
    'pending', (SELECT count(*) FROM (
      SELECT FROM public.webhook_events WHERE status IN ('received', 'failed') LIMIT 10000) AS r),
    'quarantined', (SELECT count(*) FROM (
      SELECT FROM public.customer_quarantines WHERE ends_at > p_now LIMIT 10000) AS q),
    'held', (SELECT count(*) FROM (SELECT FROM public.webhook_events WHERE status = 'held' LIMIT 10000) AS h),
    'unmapped', (SELECT count(*) FROM (SELECT FROM public.unmapped_events LIMIT 10000) AS u),
    'oldestPendingAt', (
      SELECT min(coalesce(replayed_at, received_at)) FROM public.webhook_events WHERE status IN ('received', 'failed'))
  ) FROM closed
$$;
