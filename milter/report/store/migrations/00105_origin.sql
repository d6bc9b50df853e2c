-- +goose Up

-- Addresses are looked up again, those that were never looked up first.
CREATE INDEX in_source_looked_up ON in_source (looked_up);

-- +goose Down
DROP INDEX in_source_looked_up;
