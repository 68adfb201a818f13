-- +goose Up

-- Tenants. The id is public and stands in subjects.
CREATE TABLE directory_customers (
    id         TEXT    PRIMARY KEY,
    name       TEXT    NOT NULL,
    disabled   BOOLEAN NOT NULL,
    created_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL
);

-- The customerCodes, as digests only. A digest stays after it is revoked, so that a
-- code that was given up can never come back for somebody else.
CREATE TABLE directory_keys (
    digest     TEXT   PRIMARY KEY,
    customer   TEXT   NOT NULL REFERENCES directory_customers (id),
    label      TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revoked_at BIGINT NOT NULL
);

CREATE INDEX directory_keys_customer ON directory_keys (customer);

-- The external systems that may send for a customer.
CREATE TABLE directory_systems (
    customer   TEXT   NOT NULL REFERENCES directory_customers (id),
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (customer, name)
);

CREATE TABLE directory_users (
    customer     TEXT    NOT NULL REFERENCES directory_customers (id),
    external_id  TEXT    NOT NULL,
    username     TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    surname      TEXT    NOT NULL,
    email        TEXT    NOT NULL,
    phone        TEXT    NOT NULL,
    language     TEXT    NOT NULL,
    timezone     TEXT    NOT NULL,
    title        TEXT    NOT NULL,
    organization TEXT    NOT NULL,
    company      TEXT    NOT NULL,
    enabled      BOOLEAN NOT NULL,
    created_at   BIGINT  NOT NULL,
    updated_at   BIGINT  NOT NULL,
    PRIMARY KEY (customer, external_id)
);

CREATE UNIQUE INDEX directory_users_username ON directory_users (customer, username);

-- What a user may do: manager, secretary, stranger or admin.
CREATE TABLE directory_authorities (
    customer   TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    authority  TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (customer, user_id, authority),
    FOREIGN KEY (customer, user_id) REFERENCES directory_users (customer, external_id)
);

CREATE TABLE directory_roles (
    customer   TEXT   NOT NULL REFERENCES directory_customers (id),
    role_id    TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (customer, role_id)
);

CREATE TABLE directory_role_members (
    customer   TEXT   NOT NULL,
    role_id    TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (customer, role_id, user_id),
    FOREIGN KEY (customer, role_id) REFERENCES directory_roles (customer, role_id),
    FOREIGN KEY (customer, user_id) REFERENCES directory_users (customer, external_id)
);

-- Which events go where. Types and secrets are JSON lists. The secrets must be read
-- again to sign each delivery, so they are stored as they are.
CREATE TABLE directory_subscriptions (
    id         TEXT   PRIMARY KEY,
    customer   TEXT   NOT NULL REFERENCES directory_customers (id),
    system     TEXT   NOT NULL,
    url        TEXT   NOT NULL,
    types      TEXT   NOT NULL,
    mode       TEXT   NOT NULL,
    secrets    TEXT   NOT NULL,
    disabled   TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX directory_subscriptions_customer ON directory_subscriptions (customer, id);
