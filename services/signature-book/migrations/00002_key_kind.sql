-- +goose Up

-- What a record of the key store is about, the part of its name before the first hyphen, so
-- that all of a kind (the revoked certificates first of all) are found without reading the rest.
ALTER TABLE signature_key ADD COLUMN kind TEXT NOT NULL DEFAULT '';

UPDATE signature_key SET kind = CASE WHEN name LIKE 'user-%' THEN 'user' ELSE 'seal' END
WHERE name LIKE 'user-%' OR name LIKE 'seal-%';

CREATE INDEX signature_key_kind ON signature_key (kind) WHERE kind <> '';
