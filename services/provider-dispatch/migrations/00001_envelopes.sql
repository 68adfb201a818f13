-- +goose Up

-- The envelopes. A row is locked by raising its revision.
CREATE TABLE dispatch_envelopes (
    id           TEXT   NOT NULL PRIMARY KEY,
    customer     TEXT   NOT NULL,
    system       TEXT   NOT NULL,
    external_id  TEXT   NOT NULL, -- stays taken when the envelope is deleted
    code         TEXT   NOT NULL UNIQUE,
    operation_id TEXT   NOT NULL, -- the insertion, which causes whatever no later command causes
    trace_parent TEXT   NOT NULL,
    request      TEXT   NOT NULL, -- as it was accepted, without document bytes
    state        TEXT   NOT NULL, -- of the process engine
    status       TEXT   NOT NULL,
    expire_at    BIGINT NOT NULL, -- 0 when there is nothing to wait for
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    revision     BIGINT NOT NULL,
    UNIQUE (customer, external_id)
);

CREATE INDEX dispatch_envelopes_due ON dispatch_envelopes (expire_at) WHERE expire_at > 0;

CREATE INDEX dispatch_envelopes_open ON dispatch_envelopes (status) WHERE status IN ('DRF', 'PGS');

-- The operations that have ended. A row makes a second end of the same one impossible, so
-- rows stay for ever, like the journal.
CREATE TABLE dispatch_operations (
    op_key       TEXT   NOT NULL PRIMARY KEY,
    customer     TEXT   NOT NULL,
    operation_id TEXT   NOT NULL,
    done_at      BIGINT NOT NULL
);
