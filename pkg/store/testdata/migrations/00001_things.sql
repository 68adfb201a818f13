-- +goose Up
CREATE TABLE thing (
    id      TEXT PRIMARY KEY,
    parent  TEXT REFERENCES thing (id),
    made_at BIGINT NOT NULL,
    open    BOOLEAN NOT NULL,
    share   DOUBLE PRECISION NOT NULL,
    body    BYTEA
);
