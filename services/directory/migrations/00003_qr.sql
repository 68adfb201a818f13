-- +goose Up

-- Whether signatures that show carry a QR code to the verification page, where the task says nothing.
ALTER TABLE directory_customers ADD COLUMN qr BOOLEAN NOT NULL DEFAULT FALSE;
