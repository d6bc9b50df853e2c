-- +goose Up

-- TLS reports (RFC 8460), a row for each policy, and failure reports (RFC 9991).
CREATE TABLE in_other (
  id {{id}},
  dedup TEXT NOT NULL UNIQUE,         -- digest of what makes the report the same one
  raw {{bigint}} NOT NULL REFERENCES in_raw (id),
  kind TEXT NOT NULL,                 -- "tls", "failure"
  domain TEXT NOT NULL,
  reporter TEXT NOT NULL,             -- as it calls itself
  begins {{bigint}} NOT NULL,
  ends {{bigint}} NOT NULL,
  received {{bigint}} NOT NULL,
  trust_domain TEXT NOT NULL,         -- that its mail was authenticated for; '' for none
  good {{bigint}} NOT NULL,           -- sessions
  bad {{bigint}} NOT NULL,            -- sessions or incidents
  content TEXT NOT NULL               -- JSON
);
CREATE INDEX in_other_domain ON in_other (kind, domain, begins);
CREATE INDEX in_other_raw ON in_other (raw);

-- +goose Down
DROP TABLE in_other;
