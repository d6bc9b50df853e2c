-- +goose Up

-- For lists of what happened to a domain's mail on a day, and for sums over a period of it.
CREATE INDEX in_record_day ON in_record (domain, day, outcome);

-- +goose Down
DROP INDEX in_record_day;
