-- +goose Up

-- Failure reports: like incidents of an hour for one address. Names of people are redacted before they come here.
CREATE TABLE out_failure (
  id TEXT PRIMARY KEY,                -- of the report
  hash TEXT NOT NULL,                 -- of what makes incidents alike
  hour {{bigint}} NOT NULL,           -- in which they were counted, since 1 January 1970
  domain TEXT NOT NULL,               -- policy domain or signer
  address TEXT NOT NULL,              -- '': that which the DNS of the signer names
  host TEXT NOT NULL,                 -- of the address
  near {{bigint}} NOT NULL,           -- 1: the host and the domain are related by name
  incidents {{bigint}} NOT NULL,
  first {{bigint}} NOT NULL,          -- Unix time of the first incident
  sample TEXT NOT NULL,               -- JSON; '' where only the number is kept
  state TEXT NOT NULL,                -- "open", or a state of a delivery, or "withheld"
  reason TEXT NOT NULL,
  tries {{bigint}} NOT NULL,
  due {{bigint}} NOT NULL,
  changed {{bigint}} NOT NULL,
  UNIQUE (hash, hour)
);
CREATE INDEX out_failure_due ON out_failure (state, due);
CREATE INDEX out_failure_host ON out_failure (host, hour);
