-- +goose Up

-- Every accepted command and its outcome. An id names one operation for as long as the
-- row is kept, at least 30 days.
CREATE TABLE intake_operation (
    op_key       TEXT   PRIMARY KEY,
    customer     TEXT   NOT NULL,
    id           TEXT   NOT NULL,
    digest       TEXT   NOT NULL,
    system       TEXT   NOT NULL,
    command      TEXT   NOT NULL,
    external_id  TEXT   NOT NULL,
    accepted_at  BIGINT NOT NULL,
    -- waiting for an earlier operation on the same envelope, running, or done.
    state        TEXT   NOT NULL,
    -- When it was accepted, in nanoseconds: the order in which waiting operations run.
    position     BIGINT NOT NULL,
    -- What to hand over when the operation's turn comes; empty once it has.
    next_subject TEXT   NOT NULL,
    next_message BYTEA  NOT NULL,
    trace_parent TEXT   NOT NULL,
    code         TEXT   NOT NULL,
    message      TEXT   NOT NULL,
    done_at      BIGINT NOT NULL,
    UNIQUE (customer, id)
);

CREATE INDEX intake_operation_waiting ON intake_operation (customer, external_id, state, position);
CREATE INDEX intake_operation_age ON intake_operation (state, done_at);

-- The operation that runs for each envelope; no row: none does.
CREATE TABLE intake_running (
    customer    TEXT NOT NULL,
    external_id TEXT NOT NULL,
    op_key      TEXT NOT NULL,
    PRIMARY KEY (customer, external_id)
);
