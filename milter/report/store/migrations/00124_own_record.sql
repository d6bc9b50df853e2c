-- +goose Up

-- Changes of our domains' records are in dns_change alone, where role dns keeps them.
DROP TABLE own_record;

-- +goose Down
CREATE TABLE own_record (
  id {{id}},
  domain TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  at {{bigint}} NOT NULL
);
CREATE INDEX own_record_name ON own_record (domain, name, id);
