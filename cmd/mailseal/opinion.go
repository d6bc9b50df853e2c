package main

import (
	"context"
	"time"

	"mailseal/milter/dns"
)

// opinion is what the independent implementation says of one signature.
type opinion struct {
	Domain string `json:"domain"`
	Result string `json:"result"`
	Reason string `json:"reason"`
}

func (o opinion) String() string { return o.Domain + ": " + o.Result + " " + o.Reason }

func secondOpinion(ctx context.Context, r dns.Resolver, raw []byte, now func() time.Time) []opinion {
	return nil
}
