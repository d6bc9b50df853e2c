-- +goose Up

-- What the operator is told of, once for each time that it begins.
CREATE TABLE in_alert (
  id {{id}},
  code TEXT NOT NULL,                 -- "new-source", "receiver-silent", …
  domain TEXT NOT NULL,               -- '' where it is not about one
  subject TEXT NOT NULL,              -- what it is about beside the domain: an address, a receiver
  message TEXT NOT NULL,
  raised {{bigint}} NOT NULL,
  seen {{bigint}} NOT NULL,           -- when it was last found to hold
  sent {{bigint}} NOT NULL            -- 0: not yet
);
CREATE INDEX in_alert_subject ON in_alert (code, domain, subject, seen);
CREATE INDEX in_alert_sent ON in_alert (sent);

-- +goose Down
DROP TABLE in_alert;
