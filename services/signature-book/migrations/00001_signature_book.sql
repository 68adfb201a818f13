-- +goose Up

-- One assignment given to this provider. A row without a token is one that no person
-- opens (an automatic signature, a seal) or one that was withdrawn before it opened.
CREATE TABLE signature_session (
    assignment  TEXT   PRIMARY KEY,
    customer    TEXT   NOT NULL,
    envelope_id TEXT   NOT NULL,
    -- SHA-256 of the token in the link, in hexadecimal; the token itself is nowhere.
    token_hash  TEXT   NOT NULL,
    -- open, awaiting-code, confirmed, signed, declined, failed or closed.
    status      TEXT   NOT NULL,
    -- Why it is closed.
    reason      TEXT   NOT NULL,
    -- The newest job as JSON; its documents follow the versions that were signed here.
    job         TEXT   NOT NULL,
    -- The highest epoch of a job that was signed; what is not higher is void.
    epoch       BIGINT NOT NULL,
    opened_at   BIGINT NOT NULL,
    changed_at  BIGINT NOT NULL
);

CREATE UNIQUE INDEX signature_session_token ON signature_session (token_hash) WHERE token_hash <> '';

-- The one-time code of a session and how often it was tried and sent.
CREATE TABLE signature_code (
    assignment   TEXT   PRIMARY KEY,
    salt         BYTEA  NOT NULL,
    -- Keyed hash of salt, assignment and code; empty: there is no code to be entered.
    hash         BYTEA  NOT NULL,
    expires_at   BIGINT NOT NULL,
    tries_left   BIGINT NOT NULL,
    locked_until BIGINT NOT NULL,
    -- The codes sent since window_at, for the limit on sending.
    window_at    BIGINT NOT NULL,
    sent         BIGINT NOT NULL,
    sent_at      BIGINT NOT NULL
);

-- What an actor agreed to: the evidence. It can be replaced until it is confirmed by a
-- one-time code, and never after.
CREATE TABLE signature_consent (
    assignment      TEXT   PRIMARY KEY,
    given_at        BIGINT NOT NULL,
    ip              TEXT   NOT NULL,
    user_agent      TEXT   NOT NULL,
    -- The documents by digest, with the actions on each, as JSON.
    accepted        TEXT   NOT NULL,
    -- The typed name or the strokes drawn, as JSON.
    autograph       TEXT   NOT NULL,
    confirmed_at    BIGINT NOT NULL,
    confirmed_ip    TEXT   NOT NULL,
    confirmed_agent TEXT   NOT NULL
);

-- That an actor declined, and why.
CREATE TABLE signature_decline (
    assignment  TEXT   PRIMARY KEY,
    declined_at BIGINT NOT NULL,
    reason      TEXT   NOT NULL,
    ip          TEXT   NOT NULL,
    user_agent  TEXT   NOT NULL
);

-- What came of each grant to sign.
CREATE TABLE signature_outcome (
    assignment TEXT   NOT NULL,
    epoch      BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    -- Empty when the documents were signed, else why they never can be.
    code       TEXT   NOT NULL,
    note       TEXT   NOT NULL,
    documents  TEXT   NOT NULL,
    PRIMARY KEY (assignment, epoch)
);

-- Mails on their way.
CREATE TABLE signature_mail (
    id         TEXT   PRIMARY KEY,
    assignment TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    -- Address and text, encrypted; emptied as soon as the mail has ended.
    content    BYTEA  NOT NULL,
    attempts   BIGINT NOT NULL,
    -- When it is tried next; pushed ahead while a process tries it.
    due_at     BIGINT NOT NULL,
    -- After this time nobody needs it any more.
    until_at   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    -- 0 while it waits.
    ended_at   BIGINT NOT NULL,
    -- sent, dropped or failed.
    outcome    TEXT   NOT NULL
);

CREATE INDEX signature_mail_due ON signature_mail (due_at) WHERE ended_at = 0;
CREATE INDEX signature_mail_assignment ON signature_mail (assignment);

-- Records of the key store; what is secret in them is encrypted with its passphrase.
CREATE TABLE signature_key (
    name  TEXT  PRIMARY KEY,
    value BYTEA NOT NULL
);
