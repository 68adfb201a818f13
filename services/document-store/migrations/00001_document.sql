-- +goose Up

-- The documents of each envelope. The bytes are in the blob store, in the scope of the envelope.
CREATE TABLE document_documents (
    envelope_id   TEXT   NOT NULL,
    external_id   TEXT   NOT NULL,
    customer      TEXT   NOT NULL,
    operation_key TEXT   NOT NULL,
    place         BIGINT NOT NULL,
    title         TEXT   NOT NULL,
    mime_type     TEXT   NOT NULL,
    file_name     TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    PRIMARY KEY (envelope_id, external_id)
);

CREATE INDEX document_documents_operation ON document_documents (operation_key);

-- Version 1 is what came in; every signature makes the next one.
CREATE TABLE document_versions (
    envelope_id TEXT   NOT NULL,
    external_id TEXT   NOT NULL,
    version     BIGINT NOT NULL,
    sha256      TEXT   NOT NULL,
    size        BIGINT NOT NULL,
    pages       BIGINT NOT NULL,
    signatures  BIGINT NOT NULL,
    made_at     BIGINT NOT NULL,
    PRIMARY KEY (envelope_id, external_id, version),
    FOREIGN KEY (envelope_id, external_id) REFERENCES document_documents (envelope_id, external_id)
);

-- Where the actions show: JSON, a list for each task with an entry for each action.
CREATE TABLE document_placements (
    envelope_id   TEXT   PRIMARY KEY,
    operation_key TEXT   NOT NULL,
    placements    TEXT   NOT NULL,
    created_at    BIGINT NOT NULL
);

CREATE INDEX document_placements_operation ON document_placements (operation_key);

-- Scopes whose bytes are to be removed. A row stays until they are, so that a crash
-- after the commit leaves nothing behind.
CREATE TABLE document_removals (
    customer     TEXT   NOT NULL,
    envelope_id  TEXT   NOT NULL,
    requested_at BIGINT NOT NULL,
    PRIMARY KEY (customer, envelope_id)
);
