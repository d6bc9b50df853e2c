-- +goose Up

-- Reading a mail again, and what came without proof making room for what has it, find reports by these.
CREATE INDEX in_report_raw ON in_report (raw);
CREATE INDEX in_report_variant ON in_report (variant_of) WHERE variant_of IS NOT NULL;

-- +goose Down
DROP INDEX in_report_variant;
DROP INDEX in_report_raw;
