package reporting

import (
	"context"
	"time"

	"mailseal/milter/report/advice"
	"mailseal/milter/report/send"
	"mailseal/milter/report/store"
	"mailseal/milter/report/web"
)

// Bounds of previews on the pages, which ask the DNS and build whole reports.
const (
	maxPagePreviews = 2 // at once; further ones are refused
	previewWithin   = 20 * time.Second
)

// pagePreview returns what a domain would get, as "mailseal reports preview" does.
func pagePreview(s *store.Store, r *send.Reporter,
	now func() time.Time) func(context.Context, string) ([]web.Preview, error) {
	places := make(chan struct{}, maxPagePreviews)
	return func(ctx context.Context, domain string) ([]web.Preview, error) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		default:
			return nil, web.ErrBusy
		}
		ctx, stop := context.WithTimeout(ctx, previewWithin)
		defer stop()
		list, err := previews(ctx, s, *r, now(), domain, "")
		var out []web.Preview
		for _, x := range list {
			day, err := advice.ParseDay(x.Day)
			if err != nil {
				return nil, err
			}
			out = append(out, web.Preview{Domain: x.Domain, Day: day, ID: x.ID,
				Messages: x.Messages, Rows: x.Rows, Folded: x.Folded, Sends: x.Sent,
				Reason: x.Reason, To: x.To, Mail: []byte(x.Mail), XML: []byte(x.XML)})
		}
		return out, err
	}
}
