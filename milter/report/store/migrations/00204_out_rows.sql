-- +goose Up

-- The rows of a policy and day are one value, in the form of report.RowWriter: a row of a table for each made a day of
-- ten million messages take hours to count. Rows that are not reported yet are counted anew from here on.
DROP TABLE out_row;
DELETE FROM out_policy;
ALTER TABLE out_policy ADD COLUMN slot {{bigint}} NOT NULL DEFAULT 0;    -- seconds into the night, when it is reported
ALTER TABLE out_policy ADD COLUMN messages {{bigint}} NOT NULL DEFAULT 0;
ALTER TABLE out_policy ADD COLUMN passed {{bigint}} NOT NULL DEFAULT 0;  -- messages of them
ALTER TABLE out_policy ADD COLUMN nets {{bigint}} NOT NULL DEFAULT 0;    -- networks of failing mail that out_relation has
ALTER TABLE out_policy ADD COLUMN row_data {{blob}};
CREATE INDEX out_policy_slot ON out_policy (day, slot);

-- What is known of a policy domain for the gate of relation, one row for each: words "pDAY" and "fDAY" for the days on
-- which its mail passed and failed, "nNET@DAY" for networks of failing mail and when last.
CREATE TABLE out_relation (
  domain TEXT PRIMARY KEY,
  last {{bigint}} NOT NULL,           -- day of its last mail
  days TEXT NOT NULL
) {{tail}};
INSERT INTO out_relation (domain, last, days) SELECT domain, max(day),
  {{concat}}(CASE WHEN net = '' THEN 'p' || day ELSE 'f' || day || ' n' || net || '@' || day END, ' ')
  FROM out_seen GROUP BY domain;
DROP TABLE out_seen;
