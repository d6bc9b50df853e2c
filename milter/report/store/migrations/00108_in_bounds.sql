-- +goose Up

-- What does not count is bounded: reports that nothing proves, and mails without a report.
CREATE INDEX in_report_unproven ON in_report (records) WHERE counted = 0 AND configured = 1 AND trust = 'unaligned';
CREATE INDEX in_raw_idle ON in_raw (size) WHERE data IS NOT NULL AND kind IN ('other', 'bounce', 'hostile');

-- +goose Down
DROP INDEX in_raw_idle;
DROP INDEX in_report_unproven;
