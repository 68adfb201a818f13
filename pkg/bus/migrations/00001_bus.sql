-- +goose Up

-- Ids of the messages that each service has applied.
CREATE TABLE bus_inbox (
    service     TEXT   NOT NULL,
    message_id  TEXT   NOT NULL,
    applied_at  BIGINT NOT NULL,
    PRIMARY KEY (service, message_id)
);

-- For forgetting old ids.
CREATE INDEX bus_inbox_age ON bus_inbox (service, applied_at);

-- Messages that a committed transaction wants sent; deleted once they are stored.
CREATE TABLE bus_outbox (
    service TEXT  NOT NULL,
    id      TEXT  NOT NULL,
    subject TEXT  NOT NULL,
    header  TEXT  NOT NULL,
    data    BYTEA NOT NULL,
    PRIMARY KEY (service, id)
);

-- Who may run what only one process at a time may run.
CREATE TABLE bus_lease (
    name       TEXT   PRIMARY KEY,
    holder     TEXT   NOT NULL,
    epoch      BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
