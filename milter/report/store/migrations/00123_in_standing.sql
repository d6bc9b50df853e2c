-- +goose Up

-- How each domain stands, so that the overview does not need to read all records: what role intake
-- found out when it last looked, as JSON. The row without a domain says how far all of them had read.
CREATE TABLE in_standing (
  domain TEXT NOT NULL PRIMARY KEY,
  serial {{bigint}} NOT NULL,         -- larger than that of every row that was there when it was written
  data TEXT NOT NULL
) {{tail}};
CREATE INDEX in_standing_serial ON in_standing (serial);

-- +goose Down
DROP TABLE in_standing;
