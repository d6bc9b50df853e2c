-- +goose Up

-- Records of our domains as the DNS showed them: a row for each change. value: '' for no record.
CREATE TABLE own_record (
  id {{id}},
  domain TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  at {{bigint}} NOT NULL
);
CREATE INDEX own_record_name ON own_record (domain, name, id);

-- What the DNS said of a domain when it was asked last.
CREATE TABLE own_state (
  domain TEXT NOT NULL PRIMARY KEY,
  tried {{bigint}} NOT NULL,          -- when it was asked last, with or without an answer
  at {{bigint}} NOT NULL,             -- when it answered last; 0 for never
  state TEXT NOT NULL                 -- JSON of OwnState
);

-- +goose Down
DROP TABLE own_state;
DROP TABLE own_record;
