-- +goose Up

-- Mail that this host signed and sent, by the domain that signed it: counts alone, never to whom.
CREATE TABLE own_day (
  domain TEXT NOT NULL,
  day {{bigint}} NOT NULL,
  messages {{bigint}} NOT NULL,
  replies {{bigint}} NOT NULL,        -- that answer other mail and are not automatic
  lists {{bigint}} NOT NULL,          -- to mailing lists
  PRIMARY KEY (domain, day)
) {{tail}};
CREATE INDEX own_day_day ON own_day (day);

-- Which keys this host signed with, and when first and last.
CREATE TABLE own_selector (
  domain TEXT NOT NULL,
  selector TEXT NOT NULL,
  first_at {{bigint}} NOT NULL,
  last_at {{bigint}} NOT NULL,
  PRIMARY KEY (domain, selector)
) {{tail}};

-- What administrators say of who writes from a domain: "people" or "machines".
CREATE TABLE own_use (
  domain TEXT NOT NULL PRIMARY KEY,
  use_word TEXT NOT NULL,
  made {{bigint}} NOT NULL,
  made_by TEXT NOT NULL
);

-- +goose Down
DROP TABLE own_use;
DROP TABLE own_selector;
DROP TABLE own_day;
