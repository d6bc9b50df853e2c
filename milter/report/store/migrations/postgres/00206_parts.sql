-- +goose Up

-- What each host took from its spool, once: stored with the names of the segments and the parts.
CREATE TABLE out_batch (
  id INTEGER GENERATED ALWAYS AS IDENTITY (CYCLE) PRIMARY KEY,
  host TEXT NOT NULL,
  batch TEXT NOT NULL,                -- the name of its first segment
  taken BIGINT NOT NULL,
  UNIQUE (host, batch)
);

-- Rows of the hosts that share this store, as they come: one value, in the form of report.RowWriter, for the rows of a
-- policy in a batch. Nothing is ever changed. Each day is a partition, which is dropped when it is over, and each shard of
-- a day one of that, which is emptied when the rows of all hosts are put together in out_policy.
CREATE TABLE out_part (
  day INTEGER NOT NULL,
  batch INTEGER NOT NULL,             -- id in out_batch
  n INTEGER NOT NULL,                 -- messages
  passed INTEGER NOT NULL,            -- of them
  folded INTEGER NOT NULL,            -- of them, those whose row was summed
  row_count INTEGER NOT NULL,
  shard SMALLINT NOT NULL,
  host TEXT NOT NULL,
  policy TEXT NOT NULL,               -- the domain
  policy_hash BYTEA NOT NULL,         -- of domain, record and way of discovery
  nets TEXT NOT NULL,                 -- networks of failing mail
  key BYTEA NOT NULL                  -- the rows, packed
) PARTITION BY LIST (day);

-- The policies of the days, as JSON.
CREATE TABLE out_part_policy (
  day INTEGER NOT NULL,
  hash BYTEA NOT NULL,
  policy TEXT NOT NULL,
  PRIMARY KEY (day, hash)
) PARTITION BY LIST (day);

-- Whether a shard of a day has parts that are not put together yet. Its row is locked while a host adds to it, or puts it
-- together.
CREATE TABLE out_shard (
  day BIGINT NOT NULL,
  shard INTEGER NOT NULL,
  is_open BOOLEAN NOT NULL DEFAULT true,
  host TEXT NOT NULL DEFAULT '',      -- which put it together last
  changed BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (day, shard)
);
