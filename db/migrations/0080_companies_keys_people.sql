-- Companies, their accounts and API keys are written only through functions owned by `churn_registry`, a role without login.
-- The Worker's role has no write access to these tables, because write access would allow it to act as any company.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'churn_registry') THEN
    CREATE ROLE churn_registry NOLOGIN NOBYPASSRLS;
  END IF;
END
$$;
--> statement-breakpoint
GRANT USAGE ON SCHEMA public TO churn_registry;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION app_company() TO churn_registry;
--> statement-breakpoint
-- A closed company gets no messages and no jobs; its deliveries are held for a while (shared/domain/companies/closing.ts).
ALTER TABLE companies ADD COLUMN closed_at timestamptz, ADD COLUMN closed_by text;
--> statement-breakpoint
GRANT SELECT (closed_at) ON companies TO churn_system;
--> statement-breakpoint
CREATE POLICY registry ON companies TO churn_registry USING (true) WITH CHECK (true);
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE (name, closed_at, closed_by) ON companies TO churn_registry;
--> statement-breakpoint
CREATE POLICY registry ON company_accounts TO churn_registry USING (true) WITH CHECK (true);
--> statement-breakpoint
GRANT SELECT, INSERT, DELETE ON company_accounts TO churn_registry;
--> statement-breakpoint
-- A key without a company is an operator's. `prefix` is what people see of a key; keys that were added by SQL have none.
ALTER TABLE api_keys DROP CONSTRAINT api_keys_pkey, DROP CONSTRAINT api_keys_role_check, ALTER COLUMN company_id DROP NOT NULL,
  ADD COLUMN prefix text, ADD COLUMN created_by text, ADD COLUMN expires_at timestamptz, ADD COLUMN last_used_at timestamptz,
  ADD CONSTRAINT api_keys_role_check CHECK (role IN ('success-analyst', 'success-manager', 'admin', 'operator')),
  ADD CONSTRAINT api_keys_operator CHECK ((role = 'operator') = (company_id IS NULL));
--> statement-breakpoint
-- The identity of a key, and its list: a company has tens of keys.
CREATE UNIQUE INDEX api_keys_by_id ON api_keys (company_id, id) NULLS NOT DISTINCT;
--> statement-breakpoint
CREATE POLICY operators ON api_keys FOR SELECT TO churn_worker
  USING (company_id IS NULL AND coalesce(app_company(), '') = '');
--> statement-breakpoint
CREATE POLICY registry ON api_keys TO churn_registry USING (true) WITH CHECK (true);
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE (revoked_at, expires_at, last_used_at) ON api_keys TO churn_registry;
--> statement-breakpoint
-- The people of a company who sign in to the dashboard. The address is personal data: sealed, and null once the person was
-- removed; the row stays as the author of what the person did.
CREATE TABLE people (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  id text COLLATE "C" NOT NULL,
  role text NOT NULL CHECK (role IN ('success-analyst', 'success-manager', 'admin')),
  address bytea,
  invited_by text NOT NULL,
  created_at timestamptz NOT NULL,
  last_sign_in_at timestamptz,
  removed_at timestamptz,
  PRIMARY KEY (company_id, id),
  CHECK ((address IS NULL) = (removed_at IS NOT NULL))
);
--> statement-breakpoint
-- Blind indexes of the addresses of people who were not removed: each address once in a company.
CREATE TABLE person_addresses (
  company_id text COLLATE "C" NOT NULL,
  address_index text COLLATE "C" NOT NULL,
  person_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (company_id, address_index),
  FOREIGN KEY (company_id, person_id) REFERENCES people (company_id, id)
);
--> statement-breakpoint
-- Somebody who signs in by an address names no company.
CREATE INDEX person_addresses_by_index ON person_addresses (address_index);
--> statement-breakpoint
-- One-time links to sign in, by the SHA-256 of their token.
CREATE TABLE sign_in_links (
  company_id text COLLATE "C" NOT NULL,
  hash bytea NOT NULL,
  person_id text COLLATE "C" NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  used_at timestamptz,
  PRIMARY KEY (company_id, hash),
  FOREIGN KEY (company_id, person_id) REFERENCES people (company_id, id)
);
--> statement-breakpoint
-- How many links a person got lately, and which are old enough to be deleted.
CREATE INDEX sign_in_links_by_person ON sign_in_links (company_id, person_id, created_at);
--> statement-breakpoint
-- Sessions of the dashboard, by the SHA-256 of their token; without a company they are an operator's. `key_hash`: the
-- deployment's own key at the time, which is not in api_keys.
CREATE TABLE sessions (
  company_id text COLLATE "C" REFERENCES companies (id),
  hash bytea NOT NULL,
  id uuid NOT NULL,
  role text NOT NULL CHECK (role IN ('success-analyst', 'success-manager', 'admin', 'operator')),
  person_id text COLLATE "C",
  key_id text COLLATE "C",
  key_hash bytea,
  via text NOT NULL CHECK (via IN ('key', 'link', 'access')),
  created_at timestamptz NOT NULL,
  last_seen_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz,
  CHECK ((role = 'operator') = (company_id IS NULL)),
  CHECK (num_nonnulls(person_id, key_id) = 1)
);
--> statement-breakpoint
-- A request with a session's token.
CREATE UNIQUE INDEX sessions_by_hash ON sessions (company_id, hash) NULLS NOT DISTINCT;
--> statement-breakpoint
-- The sessions that are shown, and those that are old enough to be deleted.
CREATE INDEX sessions_by_time ON sessions (company_id, created_at DESC, id DESC);
--> statement-breakpoint
-- Sign-ins, their failures and sign-outs; only ever appended to. `who`: a person or a key; null: not known.
CREATE TABLE access_events (
  company_id text COLLATE "C" REFERENCES companies (id),
  id uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('link_requested', 'signed_in', 'sign_in_failed', 'signed_out')),
  via text NOT NULL CHECK (via IN ('key', 'link', 'access')),
  who text,
  reason text,
  at timestamptz NOT NULL
);
--> statement-breakpoint
CREATE INDEX access_events_by_time ON access_events (company_id, at DESC, id DESC);
--> statement-breakpoint
-- Steps of a company's set-up that cannot be read from other tables: each once, when it was first done.
CREATE TABLE onboarding_steps (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  step text NOT NULL,
  at timestamptz NOT NULL,
  who text NOT NULL,
  PRIMARY KEY (company_id, step)
);
--> statement-breakpoint
DO $$
DECLARE
  tenant_table text;
BEGIN
  FOREACH tenant_table IN ARRAY ARRAY[
    'people', 'person_addresses', 'sign_in_links', 'sessions', 'access_events', 'onboarding_steps'
  ] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format(
      'CREATE POLICY tenant ON %I TO churn_worker USING (company_id = app_company()) WITH CHECK (company_id = app_company())',
      tenant_table
    );
    EXECUTE format('GRANT SELECT, INSERT ON %I TO churn_worker', tenant_table);
  END LOOP;
  FOREACH tenant_table IN ARRAY ARRAY['sessions', 'access_events'] LOOP
    EXECUTE format(
      'CREATE POLICY operators ON %I TO churn_worker USING (company_id IS NULL AND coalesce(app_company(), '''') = '''') '
      'WITH CHECK (company_id IS NULL AND coalesce(app_company(), '''') = '''')',
      tenant_table
    );
  END LOOP;
END
$$;
--> statement-breakpoint
GRANT UPDATE (role, address, last_sign_in_at, removed_at) ON people TO churn_worker;
--> statement-breakpoint
GRANT DELETE ON person_addresses TO churn_worker;
--> statement-breakpoint
GRANT UPDATE (used_at), DELETE ON sign_in_links TO churn_worker;
--> statement-breakpoint
GRANT UPDATE (last_seen_at, revoked_at), DELETE ON sessions TO churn_worker;
--> statement-breakpoint
GRANT DELETE ON access_events TO churn_worker;
--> statement-breakpoint
-- Who has an address, in any company.
CREATE POLICY system ON person_addresses FOR SELECT TO churn_system USING (true);
--> statement-breakpoint
GRANT SELECT ON person_addresses TO churn_system;
