-- +goose Up

-- The signature level of tasks that name none; empty for that of the bus.
ALTER TABLE directory_customers ADD COLUMN signature_level TEXT NOT NULL DEFAULT '';
