package miltertest

import (
	"errors"
	"fmt"
	"strings"
)

// MTA is the mail server to act as.
type MTA uint8

// The MTAs that are known well enough.
const (
	Postfix  MTA = iota // 3.7, milter_default_action = tempfail
	Sendmail            // 8.17, F=T
)

// ErrFilter reports that the milter did something that the MTA does not accept, so that the
// connection ends.
var ErrFilter = errors.New("the MTA would drop this milter")

// String returns the name as ParseMTA reads it.
func (m MTA) String() string {
	if m == Sendmail {
		return "sendmail"
	}
	return "postfix"
}

// ParseMTA reads "postfix" or "sendmail", in any case.
func ParseMTA(s string) (MTA, error) {
	for _, m := range []MTA{Postfix, Sendmail} {
		if strings.EqualFold(s, m.String()) {
			return m, nil
		}
	}
	return 0, fmt.Errorf("no MTA %q; there are postfix and sendmail", s)
}

// texts are what an MTA tells its client for each verdict of a milter.
type texts struct{ accept, reject, tempFail, connFail, badReply, broken string }

// texts returns what was seen of each MTA, not what the protocol's texts say.
func (m MTA) texts() texts {
	if m == Sendmail {
		return texts{
			accept:   "250 2.0.0 Message accepted for delivery",
			reject:   "554 5.7.1 Command rejected",
			tempFail: "451 4.3.2 Please try again later",
			connFail: "421 4.7.0 closing connection",
			// whatever the code was: a 451 becomes permanent
			badReply: "554 5.7.1 Command rejected",
			broken:   "451 4.3.2 Please try again later",
		}
	}
	return texts{
		accept:   "250 2.0.0 Ok: queued",
		reject:   "550 5.7.1 Command rejected",
		tempFail: "451 4.7.1 Service unavailable - try again later",
		connFail: "421 4.7.0 Server closing connection",
		badReply: "451 4.3.5 Server configuration problem - try again later",
		broken:   "451 4.7.1 Service unavailable - try again later",
	}
}
