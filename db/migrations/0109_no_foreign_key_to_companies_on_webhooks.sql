-- A foreign key to companies makes every transaction that records a webhook lock the company's row, and costs a look-up for each
-- row. The Worker has read the company before it records anything, companies are closed and never deleted, and no role of the
-- Worker can delete one. Events and facts, which are partitioned, have never had one.
ALTER TABLE webhook_event_keys DROP CONSTRAINT webhook_event_keys_company_id_fkey;
--> statement-breakpoint
ALTER TABLE customers DROP CONSTRAINT customers_company_id_fkey;
--> statement-breakpoint
ALTER TABLE customer_addresses DROP CONSTRAINT customer_addresses_company_id_fkey;
