-- When a company's own webhook secret was added and by which key. With several at once the newest is tried first, so that
-- the place in the log (`secretIndex`) says whether the provider still signs with an older one.
ALTER TABLE webhook_secrets
  ADD COLUMN created_at timestamptz NOT NULL DEFAULT now(),
  ADD COLUMN created_by text;
