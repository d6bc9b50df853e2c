-- +goose Up

-- What only the pages of one domain show of its records: JSON of OwnDetail, or ''.
ALTER TABLE own_state ADD COLUMN detail TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE own_state DROP COLUMN detail;
