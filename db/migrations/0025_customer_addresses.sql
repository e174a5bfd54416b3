-- Which customers of a company share an address: one blind index (HMAC, shared/contact/address-index.ts) for each address and
-- version of the key, and no address. A row goes when the customer's address changes, unless the customer has opted out:
-- who said stop is known by every address they had since. Erasing a customer erases the rows.
CREATE TABLE customer_addresses (
  company_id text COLLATE "C" NOT NULL REFERENCES companies (id),
  customer_id text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL CHECK (kind IN ('email', 'phone')),
  address bytea NOT NULL,
  PRIMARY KEY (company_id, customer_id, kind, address)
);
--> statement-breakpoint
-- Who else has this address.
CREATE INDEX customer_addresses_by_address ON customer_addresses (company_id, kind, address, customer_id);
--> statement-breakpoint
ALTER TABLE customer_addresses ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE customer_addresses FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY tenant ON customer_addresses TO churn_worker
  USING (company_id = app_company()) WITH CHECK (company_id = app_company());
--> statement-breakpoint
GRANT SELECT, INSERT, DELETE ON customer_addresses TO churn_worker;
--> statement-breakpoint
-- The newest version of the key under which the addresses of the contact are indexed; null: not yet.
ALTER TABLE customer_pii ADD COLUMN indexed_version integer;
--> statement-breakpoint
-- Contacts that must be indexed, those never indexed first.
CREATE INDEX customer_pii_by_indexed_version ON customer_pii (coalesce(indexed_version, 0), company_id, customer_id);
--> statement-breakpoint
CREATE POLICY system ON customer_pii FOR SELECT TO churn_system USING (true);
--> statement-breakpoint
GRANT SELECT (company_id, customer_id, indexed_version) ON customer_pii TO churn_system;
