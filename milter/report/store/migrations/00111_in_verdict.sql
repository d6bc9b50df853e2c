-- +goose Up

-- What administrators say of sources, the whole history: the newest that was not undone holds.
-- subject: an address, a network, or the name that pages give to a source. addresses: those that a
-- named source had at the time, with blanks between.
CREATE TABLE in_verdict (
  id {{id}},
  domain TEXT NOT NULL,               -- '' for all
  subject TEXT NOT NULL,
  addresses TEXT NOT NULL,
  class TEXT NOT NULL,
  was TEXT NOT NULL,                  -- the verdict before, '' for none
  made {{bigint}} NOT NULL,
  made_by TEXT NOT NULL,
  undone {{bigint}} NOT NULL DEFAULT 0,
  undone_by TEXT NOT NULL DEFAULT ''
);
INSERT INTO in_verdict (domain, subject, addresses, class, was, made, made_by)
  SELECT domain, subject, '', class, '', made, made_by FROM in_rule ORDER BY made, id;
DROP TABLE in_rule;

-- +goose Down
DROP TABLE in_verdict;
CREATE TABLE in_rule (
  id {{id}},
  domain TEXT NOT NULL,
  subject TEXT NOT NULL,
  class TEXT NOT NULL,
  name TEXT NOT NULL,
  made {{bigint}} NOT NULL,
  made_by TEXT NOT NULL,
  UNIQUE (domain, subject)
);
