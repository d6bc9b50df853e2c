-- +goose Up

-- Mails and files in which something could not be read: few among many, and listed by the pages.
CREATE INDEX in_raw_unread ON in_raw (received) WHERE error <> '';

-- What arrived on each UTC day: see the constants Count… of the package.
CREATE TABLE in_count (
  day {{bigint}} NOT NULL,
  what TEXT NOT NULL,
  n {{bigint}} NOT NULL,
  PRIMARY KEY (day, what)
) {{tail}};

-- +goose Down
DROP TABLE in_count;
DROP INDEX in_raw_unread;
