-- +goose Up

-- Who has, or had last, what one host has at a time. The lock itself is an advisory lock of a connection.
CREATE TABLE out_lease (
  name TEXT PRIMARY KEY,
  number BIGINT NOT NULL,             -- of the lease: changes under an earlier one are refused
  host TEXT NOT NULL,
  since BIGINT NOT NULL
);

-- The hosts that take rows, and how far each is.
CREATE TABLE out_host (
  host TEXT PRIMARY KEY,
  seen BIGINT NOT NULL,               -- when it last looked at its spool
  ready BIGINT NOT NULL,              -- the last day of which its spool has nothing more
  segments BIGINT NOT NULL,           -- that wait in its spool, with how many bytes, and the age of the oldest
  bytes BIGINT NOT NULL,
  oldest BIGINT NOT NULL              -- Unix time; 0: none waits
);
