-- What takes the facts of the state's last instant back, with the version of the state that it belongs to.
ALTER TABLE customers ADD COLUMN undo jsonb;
--> statement-breakpoint
-- Room for new versions of a row on its own page: then no index is written.
ALTER TABLE customers SET (fillfactor = 60);
