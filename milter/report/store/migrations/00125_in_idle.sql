-- +goose Up

-- Mails that brought nothing new which is proven, whatever they are: their bytes are bounded.
ALTER TABLE in_raw ADD COLUMN idle INTEGER NOT NULL DEFAULT 0;
UPDATE in_raw SET idle = 1 WHERE kind IN ('other', 'bounce', 'hostile', 'null');
DROP INDEX in_raw_idle;
CREATE INDEX in_raw_idle ON in_raw (size) WHERE data IS NOT NULL AND idle = 1;
CREATE INDEX in_other_unproven ON in_other (raw) WHERE trust_domain = '';

-- +goose Down
DROP INDEX in_other_unproven;
DROP INDEX in_raw_idle;
ALTER TABLE in_raw DROP COLUMN idle;
CREATE INDEX in_raw_idle ON in_raw (size) WHERE data IS NOT NULL AND kind IN ('other', 'bounce', 'hostile');
