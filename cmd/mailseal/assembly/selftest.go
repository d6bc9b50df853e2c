package assembly

import (
	"context"
	"fmt"

	"mailseal/config"
	"mailseal/keys"
	"mailseal/milter/sign"
)

// SelfTest signs a probe with every key of the rules, and verifies it with an independent
// implementation and the record that the operator must publish. It calls tell for each key that
// fails, in the order of the rules.
func SelfTest(ctx context.Context, cfg *config.Config, source keys.Source,
	tell func(key string, err error)) {
	done := map[string]bool{}
	for i, r := range cfg.Sign {
		rule, err := newRule(fmt.Sprintf("sign[%d]", i), r)
		if err != nil {
			continue // build has reported it
		}
		for _, name := range r.Keys {
			if ctx.Err() != nil || done[name] {
				continue
			}
			done[name] = true
			k, err := source.Key(ctx, name)
			if err != nil {
				continue // loading has reported it
			}
			if k.Domain == "%" {
				k.Domain = "example.com"
			}
			if err := sign.TestKey(k, rule.Options); err != nil {
				tell(name, err)
			}
		}
	}
}
