-- +goose Up

-- Reports on domains that are not ours are counted before one more is taken.
CREATE INDEX in_report_configured ON in_report (configured, received);

-- +goose Down
DROP INDEX in_report_configured;
