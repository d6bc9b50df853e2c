-- +goose Up

-- Policies as they were when mail was judged. A policy that changes within a day makes two reports.
CREATE TABLE out_policy (
  id {{id}},
  day {{bigint}} NOT NULL,
  domain TEXT NOT NULL,
  hash TEXT NOT NULL,                 -- of domain, record and way of discovery
  policy TEXT NOT NULL,               -- JSON
  kept {{bigint}} NOT NULL DEFAULT 0, -- rows
  folded {{bigint}} NOT NULL DEFAULT 0, -- messages whose row was folded: the report had too many
  UNIQUE (day, hash)
);

-- Rows of reports that are not built yet.
CREATE TABLE out_row (
  policy {{bigint}} NOT NULL REFERENCES out_policy (id) ON DELETE CASCADE,
  hash TEXT NOT NULL,                 -- of row
  row_text TEXT NOT NULL,
  n {{bigint}} NOT NULL,
  PRIMARY KEY (policy, hash)
) {{tail}};

-- Segments whose rows are in: the file is deleted after the commit, and may still be there after a crash.
CREATE TABLE out_segment (
  name TEXT PRIMARY KEY,
  folded {{bigint}} NOT NULL
);

-- On which days mail of a domain passed or failed, for the gate of relation. net is the client's network of mail that
-- failed, '' of mail that passed.
CREATE TABLE out_seen (
  domain TEXT NOT NULL,
  day {{bigint}} NOT NULL,
  net TEXT NOT NULL,
  PRIMARY KEY (domain, day, net)
) {{tail}};

-- Domains that our users wrote to, as HMAC under the key of out_secret, and when last.
CREATE TABLE out_friend (
  hash TEXT PRIMARY KEY,
  day {{bigint}} NOT NULL
);
CREATE TABLE out_secret (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

-- Reports: built, or withheld with a reason.
CREATE TABLE out_report (
  id TEXT PRIMARY KEY,
  day {{bigint}} NOT NULL,
  domain TEXT NOT NULL,
  state TEXT NOT NULL,                -- "built", "withheld"
  reason TEXT NOT NULL,
  built {{bigint}} NOT NULL,
  messages {{bigint}} NOT NULL,
  row_count {{bigint}} NOT NULL,
  folded {{bigint}} NOT NULL,
  xml {{blob}}                        -- gzip; NULL where it was withheld
);
CREATE INDEX out_report_day ON out_report (day, domain);

-- One mail to one address.
CREATE TABLE out_delivery (
  report TEXT NOT NULL REFERENCES out_report (id) ON DELETE CASCADE,
  n {{bigint}} NOT NULL,
  address TEXT NOT NULL,
  host TEXT NOT NULL,
  state TEXT NOT NULL,                -- "queued", "handed over", "deferred", "failed", "suppressed"
  reason TEXT NOT NULL,
  tries {{bigint}} NOT NULL,
  due {{bigint}} NOT NULL,
  changed {{bigint}} NOT NULL,
  message {{blob}} NOT NULL,
  PRIMARY KEY (report, n)
);
CREATE INDEX out_delivery_due ON out_delivery (state, due);

-- Addresses that bounced, or that we were asked to leave alone.
CREATE TABLE out_suppressed (
  address TEXT PRIMARY KEY,
  until {{bigint}} NOT NULL,
  strikes {{bigint}} NOT NULL,
  reason TEXT NOT NULL
);
