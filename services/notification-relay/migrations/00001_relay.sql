-- +goose Up

-- What is known about the endpoint of a subscription. Neither its address nor its
-- secrets are kept here, only a digest that tells when the address has changed.
CREATE TABLE relay_endpoints (
    customer       TEXT   NOT NULL,
    subscription   TEXT   NOT NULL,
    address_digest TEXT   NOT NULL DEFAULT '',
    failures       BIGINT NOT NULL DEFAULT 0, -- in a row
    failing_since  BIGINT NOT NULL DEFAULT 0,
    pauses         BIGINT NOT NULL DEFAULT 0, -- in a row
    paused_until   BIGINT NOT NULL DEFAULT 0,
    probe_until    BIGINT NOT NULL DEFAULT 0, -- somebody tries it after a pause
    disabled       TEXT   NOT NULL DEFAULT '', -- why nothing is sent any more
    PRIMARY KEY (customer, subscription)
);

-- The last event seen of each envelope: events are taken in their order.
CREATE TABLE relay_envelopes (
    customer TEXT   NOT NULL,
    envelope TEXT   NOT NULL,
    sequence BIGINT NOT NULL,
    seen_at  BIGINT NOT NULL,
    PRIMARY KEY (customer, envelope)
);

CREATE INDEX relay_envelopes_age ON relay_envelopes (seen_at);

-- A lane is what must stay in order: the pending deliveries of one envelope to one
-- subscription. It exists while there are any. Whoever claims it may try the first of
-- them until due_at; otherwise due_at is when the first may be tried.
CREATE TABLE relay_lanes (
    customer     TEXT   NOT NULL,
    subscription TEXT   NOT NULL,
    envelope     TEXT   NOT NULL,
    due_at       BIGINT NOT NULL,
    claim        TEXT   NOT NULL DEFAULT '',
    claimed_by   TEXT   NOT NULL DEFAULT '',
    PRIMARY KEY (customer, subscription, envelope)
);

CREATE INDEX relay_lanes_due ON relay_lanes (customer, subscription, due_at);
CREATE INDEX relay_lanes_claim ON relay_lanes (claim) WHERE claim <> '';

-- One event for one subscription.
CREATE TABLE relay_deliveries (
    id           TEXT   NOT NULL PRIMARY KEY,
    customer     TEXT   NOT NULL,
    subscription TEXT   NOT NULL,
    envelope     TEXT   NOT NULL,
    sequence     BIGINT NOT NULL,
    event_id     TEXT   NOT NULL,
    event_type   TEXT   NOT NULL,
    external_id  TEXT   NOT NULL,
    event        BYTEA  NOT NULL,
    status       TEXT   NOT NULL, -- pending, delivered, exhausted, discarded
    reason       TEXT   NOT NULL DEFAULT '',
    attempts     BIGINT NOT NULL DEFAULT 0,
    failures     BIGINT NOT NULL DEFAULT 0, -- the place in the retry schedule
    next_at      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    ended_at     BIGINT NOT NULL DEFAULT 0,
    UNIQUE (customer, subscription, event_id)
);

CREATE INDEX relay_deliveries_pending ON relay_deliveries (customer, subscription, envelope, sequence) WHERE status = 'pending';
CREATE INDEX relay_deliveries_ended ON relay_deliveries (ended_at) WHERE ended_at > 0;
CREATE INDEX relay_deliveries_list ON relay_deliveries (customer, id);

-- One row for each try, written before the call and completed after it.
CREATE TABLE relay_attempts (
    delivery   TEXT   NOT NULL REFERENCES relay_deliveries (id) ON DELETE CASCADE,
    attempt    BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at   BIGINT NOT NULL DEFAULT 0,
    duration   BIGINT NOT NULL DEFAULT 0, -- microseconds
    status     BIGINT NOT NULL DEFAULT 0, -- of HTTP; 0: no answer
    reason     TEXT   NOT NULL DEFAULT '',
    PRIMARY KEY (delivery, attempt)
);

-- +goose Down
DROP TABLE relay_attempts;
DROP TABLE relay_deliveries;
DROP TABLE relay_lanes;
DROP TABLE relay_envelopes;
DROP TABLE relay_endpoints;
