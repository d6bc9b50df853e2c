-- +goose Up

-- Mails to envelope senders of reports that were made up: they are ignored, and counted by day.
CREATE TABLE out_forged (
  day {{bigint}} PRIMARY KEY,
  n {{bigint}} NOT NULL
);

-- The day of the last bounce that counted: several of one day are one.
ALTER TABLE out_suppressed ADD COLUMN struck {{bigint}} NOT NULL DEFAULT -1;
