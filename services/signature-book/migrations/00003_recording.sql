-- +goose Up

-- How a hand moved when it signed, from the consent until the signature is made: encrypted
-- with a key of the service, and gone once it is sealed for the escrow key in the document.
CREATE TABLE signature_recording (
    assignment TEXT  PRIMARY KEY,
    sealed     BYTEA NOT NULL
);
