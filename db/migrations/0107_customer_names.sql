-- Customers by name: a blind index (HMAC, shared/contact/name-index.ts) for each word of a name and version of the key, and no
-- name. Equal words of a company's customers have equal indexes; that is all that the rows tell. They go with the contact.
CREATE TABLE customer_names (
  company_id text COLLATE "C" NOT NULL,
  customer_id text COLLATE "C" NOT NULL,
  name bytea NOT NULL,
  PRIMARY KEY (customer_id, company_id, name),
  FOREIGN KEY (company_id, customer_id) REFERENCES customer_pii (company_id, customer_id) ON DELETE CASCADE
);
--> statement-breakpoint
-- The customers who have a word in their name.
CREATE INDEX customer_names_by_name ON customer_names (name);
--> statement-breakpoint
ALTER TABLE customer_names ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE customer_names FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY tenant ON customer_names TO churn_worker
  USING (company_id = app_company()) WITH CHECK (company_id = app_company());
--> statement-breakpoint
GRANT SELECT, INSERT, DELETE ON customer_names TO churn_worker;
--> statement-breakpoint
-- The newest version of the key under which the words of the name are indexed; null: not yet.
ALTER TABLE customer_pii ADD COLUMN names_version integer;
--> statement-breakpoint
DROP INDEX customer_pii_by_indexed_version;
--> statement-breakpoint
-- Contacts whose addresses or names must be indexed, those never indexed first.
CREATE INDEX customer_pii_by_indexed_version ON customer_pii (
  least(coalesce(indexed_version, 0), coalesce(names_version, 0)), company_id, customer_id
);
--> statement-breakpoint
GRANT SELECT (names_version) ON customer_pii TO churn_system;
