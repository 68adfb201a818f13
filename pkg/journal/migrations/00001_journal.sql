-- +goose Up

-- What happened, in order, for ever. Rows are never changed.
CREATE TABLE journal_entry (
    chain        TEXT   NOT NULL,
    seq          BIGINT NOT NULL,
    event_id     TEXT   NOT NULL UNIQUE,
    event_type   TEXT   NOT NULL,
    customer     TEXT   NOT NULL,
    system       TEXT   NOT NULL,
    subject      TEXT   NOT NULL,
    operation_id TEXT   NOT NULL,
    trace_parent TEXT   NOT NULL,
    recorded_at  BIGINT NOT NULL,
    data         BYTEA  NOT NULL,
    previous     BYTEA  NOT NULL,
    hash         BYTEA  NOT NULL,
    PRIMARY KEY (chain, seq)
);

-- Entries that wait to be published.
CREATE TABLE journal_pending (
    chain TEXT   NOT NULL,
    seq   BIGINT NOT NULL,
    PRIMARY KEY (chain, seq)
);
