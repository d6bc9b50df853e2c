-- +goose Up

-- What arrived on each UTC day: see the constants Count… of the package.
CREATE TABLE in_count (
  day {{bigint}} NOT NULL,
  what TEXT NOT NULL,
  n {{bigint}} NOT NULL,
  PRIMARY KEY (day, what)
) {{tail}};

-- +goose Down
DROP TABLE in_count;
DROP INDEX IF EXISTS in_raw_unread; -- which an earlier form of this file made
