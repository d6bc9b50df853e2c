-- +goose Up

-- Domains whose reports changed after they had arrived: a reporter was accepted or refused, or mail
-- was read again. Readers that keep what they found out about a domain read on from the last row
-- that they saw. The latest rows are kept.
CREATE TABLE in_touched (
  id {{id}},
  domain {{bigint}} NOT NULL          -- in_name
);

-- +goose Down
DROP TABLE in_touched;
