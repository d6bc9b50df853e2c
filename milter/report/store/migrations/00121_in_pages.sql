-- +goose Up

-- For the page of reports that come in: what is rare, and the kinds of arrivals without their bytes.
CREATE INDEX in_raw_error ON in_raw (received) WHERE error <> '';
CREATE INDEX in_raw_kind ON in_raw (received, kind);
DROP INDEX in_raw_received;
CREATE INDEX in_report_aside ON in_report (received) WHERE counted = 0;

-- +goose Down
DROP INDEX in_report_aside;
CREATE INDEX in_raw_received ON in_raw (received);
DROP INDEX in_raw_kind;
DROP INDEX in_raw_error;
