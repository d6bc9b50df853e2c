-- +goose Up

-- What is asked for each report and each mail must not read all others: a night has very many.
CREATE INDEX out_report_domain ON out_report (domain, day);
CREATE INDEX out_delivery_changed ON out_delivery (state, changed);
