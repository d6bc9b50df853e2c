-- +goose Up

-- Numbers 001xx are of reports that come in, 002xx of reports that go out.

-- Words that stand in many rows: domains, hosts.
CREATE TABLE in_name (
  id {{id}},
  name TEXT NOT NULL UNIQUE
);

-- Who sends reports. key is the organizational domain that reports are grouped by.
CREATE TABLE in_reporter (
  id {{id}},
  key TEXT NOT NULL UNIQUE,
  org TEXT NOT NULL,
  email TEXT NOT NULL,
  accepted INTEGER NOT NULL DEFAULT 0, -- 1: its reports count although nothing proves where they come from
  first_seen {{bigint}} NOT NULL,
  last_seen {{bigint}} NOT NULL
);

-- Addresses that mail came from. ip is text, since some reports name what is not an address.
CREATE TABLE in_source (
  id {{id}},
  ip TEXT NOT NULL UNIQUE,
  ptr TEXT NOT NULL DEFAULT '',       -- confirmed reverse name
  looked_up {{bigint}} NOT NULL DEFAULT 0,
  asn {{bigint}} NOT NULL DEFAULT 0,
  asn_name TEXT NOT NULL DEFAULT '',
  country TEXT NOT NULL DEFAULT ''
);

-- A distinct set of DKIM and SPF results, as JSON.
CREATE TABLE in_authset (
  id {{id}},
  hash TEXT NOT NULL UNIQUE,
  results TEXT NOT NULL
);

-- What arrived, compressed, so that a better parser can read it again.
CREATE TABLE in_raw (
  id {{id}},
  digest TEXT NOT NULL UNIQUE,        -- SHA-256 of the uncompressed bytes, in hex
  received {{bigint}} NOT NULL,
  via TEXT NOT NULL,                  -- "lmtp", "pipe", "import"
  name TEXT NOT NULL,                 -- of the file, or the Message-ID
  kind TEXT NOT NULL,                 -- "aggregate", "tls", "failure", "hostile", "other", …
  error TEXT NOT NULL DEFAULT '',     -- why nothing, or not everything, could be read
  trust TEXT NOT NULL,                -- "aligned", "unaligned", "file"
  trust_domain TEXT NOT NULL,         -- the domain that the mail itself was authenticated for
  size {{bigint}} NOT NULL,
  data {{blob}}                       -- gzip; NULL once retention removed it
);
CREATE INDEX in_raw_received ON in_raw (received);

CREATE TABLE in_report (
  id {{id}},
  dedup TEXT NOT NULL,                -- digest of reporter, report id, domain, begin and end
  content TEXT NOT NULL,              -- digest of the report's own bytes
  variant_of {{bigint}} REFERENCES in_report (id), -- same key, other content: shown, not summed
  raw {{bigint}} REFERENCES in_raw (id),
  reporter {{bigint}} NOT NULL REFERENCES in_reporter (id),
  report_id TEXT NOT NULL,
  domain {{bigint}} NOT NULL REFERENCES in_name (id), -- the policy domain
  configured INTEGER NOT NULL,        -- 0: a domain that is not ours
  begins {{bigint}} NOT NULL,
  ends {{bigint}} NOT NULL,
  received {{bigint}} NOT NULL,
  trust TEXT NOT NULL,
  counted INTEGER NOT NULL,           -- 1: its records are in the rollups
  state TEXT NOT NULL,                -- "whole", "partial", "null", "future"
  version TEXT NOT NULL,
  namespace TEXT NOT NULL,
  generator TEXT NOT NULL,
  policy TEXT NOT NULL,               -- JSON of policy_published
  notes TEXT NOT NULL,                -- JSON: what was unusual about it
  records {{bigint}} NOT NULL,
  messages {{bigint}} NOT NULL
);
CREATE UNIQUE INDEX in_report_key ON in_report (dedup, content);
CREATE INDEX in_report_domain ON in_report (domain, begins);
CREATE INDEX in_report_reporter ON in_report (reporter, begins);
CREATE INDEX in_report_received ON in_report (received);

-- One row of a report and day. A row of a report over several days is spread over them.
CREATE TABLE in_record (
  report {{bigint}} NOT NULL REFERENCES in_report (id),
  n {{bigint}} NOT NULL,              -- place in the report, from 1
  day {{bigint}} NOT NULL,
  domain {{bigint}} NOT NULL,         -- nearest configured domain of header_from, else the policy domain
  source {{bigint}} NOT NULL,
  messages {{bigint}} NOT NULL,
  outcome {{bigint}} NOT NULL,        -- see Outcome
  header_from {{bigint}} NOT NULL,    -- in_name
  envelope_from {{bigint}} NOT NULL,  -- in_name
  authset {{bigint}} NOT NULL,
  facts TEXT NOT NULL,                -- JSON of what is rare: reasons, unknown words, derived results; or ''
  PRIMARY KEY (report, n, day)
) {{tail}};
CREATE INDEX in_record_source ON in_record (domain, source, day);

CREATE TABLE in_day_reporter (
  domain {{bigint}} NOT NULL,
  day {{bigint}} NOT NULL,
  reporter {{bigint}} NOT NULL,
  outcome {{bigint}} NOT NULL,
  messages {{bigint}} NOT NULL,
  PRIMARY KEY (domain, day, reporter, outcome)
) {{tail}};

CREATE TABLE in_day_source (
  domain {{bigint}} NOT NULL,
  day {{bigint}} NOT NULL,
  source {{bigint}} NOT NULL,
  outcome {{bigint}} NOT NULL,
  messages {{bigint}} NOT NULL,
  PRIMARY KEY (domain, day, source, outcome)
) {{tail}};
CREATE INDEX in_day_source_source ON in_day_source (source, day);

-- What the administrator says of sources. subject: an address, a network, or a domain of reverse names with a leading dot.
CREATE TABLE in_rule (
  id {{id}},
  domain TEXT NOT NULL,               -- '' for all
  subject TEXT NOT NULL,
  class TEXT NOT NULL,
  name TEXT NOT NULL,
  made {{bigint}} NOT NULL,
  made_by TEXT NOT NULL,
  UNIQUE (domain, subject)
);

-- What alerts and digests have told.
CREATE TABLE in_told (
  what TEXT NOT NULL PRIMARY KEY,
  at {{bigint}} NOT NULL
);

-- +goose Down
DROP TABLE in_told;
DROP TABLE in_rule;
DROP TABLE in_day_source;
DROP TABLE in_day_reporter;
DROP TABLE in_record;
DROP TABLE in_report;
DROP TABLE in_raw;
DROP TABLE in_authset;
DROP TABLE in_source;
DROP TABLE in_reporter;
DROP TABLE in_name;
