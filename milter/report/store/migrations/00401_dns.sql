-- +goose Up

-- What the DNS said of a domain's own records when it was asked last, and what changed.
CREATE TABLE dns_domain (
  domain TEXT NOT NULL PRIMARY KEY,
  checked {{bigint}} NOT NULL,        -- when somebody began to ask last
  known {{bigint}} NOT NULL           -- 1 once there was an answer to compare with
) {{tail}};
CREATE TABLE dns_record (
  domain TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,                 -- TXT, MX, …
  content TEXT NOT NULL,              -- the sorted values, a JSON array
  since {{bigint}} NOT NULL,          -- when this content was seen first
  PRIMARY KEY (domain, name, kind)
) {{tail}};
CREATE TABLE dns_change (
  id {{id}},
  domain TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  was TEXT NOT NULL,
  content TEXT NOT NULL,
  changed {{bigint}} NOT NULL
);
CREATE INDEX dns_change_domain ON dns_change (domain, changed);
CREATE INDEX dns_change_changed ON dns_change (changed);

-- +goose Down
DROP TABLE dns_change;
DROP TABLE dns_record;
DROP TABLE dns_domain;
