-- A payment whose events state no amount that can be read has no currency; its amount is zero and stands for nothing.
ALTER TABLE payments ALTER COLUMN currency DROP NOT NULL;
