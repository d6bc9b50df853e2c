package filter

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"mailseal/milter/action"
	"mailseal/milter/dkim"
	"mailseal/milter/domain"
	"mailseal/milter/message"
	"mailseal/milter/report"
	"mailseal/milter/sign"
	"mailseal/milter/verify"
)

// sent keeps that a domain of ours sent a message, with which selectors, and whether a person wrote
// it or it goes to a mailing list: the advice on reject rests on that (RFC 9989 section 7.4). The
// domain is that of a signature, so that no sender can make names up.
func (rs Reports) sent(ml mail, done sign.Signed) {
	if rs.Recorder == nil || ml.Role != action.RoleOurs || ml.Envelope.Sender == "" {
		return
	}
	said := report.Sent{Time: rs.Now(), Counted: true}
	isAuto, isAnswer, isPost := automatic(ml.Header)
	said.Reply = isAnswer && !isAuto
	said.ToList = isPost || !isAuto && slices.ContainsFunc(ml.Envelope.Recipients, rs.Lists.has)
	for _, s := range done.Made {
		name, err := domain.Parse(s.Domain)
		if err != nil || !below(ml.author.Domain, name) {
			continue
		}
		said.Domain, said.Selector = string(name), s.Selector
		rs.Recorder.Sent(said)
		said.Counted = false
	}
}

// below reports whether a name is another one, or below it.
func below(name, top domain.Name) bool {
	return name == top || strings.HasSuffix(string(name), "."+string(top))
}

// automatic reports of a header whether a program wrote the message, whether it is an answer, and
// whether a list for discussion distributes it. A newsletter has List-Id and List-Unsubscribe, too,
// but no address to post to.
func automatic(h message.Header) (isAuto, isAnswer, isPost bool) {
	for _, f := range h {
		switch {
		case f.Is("Auto-Submitted"):
			isAuto = isAuto || isAutomatic(f)
		case f.Is("Precedence"):
			v := lowered(f, 20)
			isAuto = isAuto || v == "bulk" || v == "list" || v == "junk"
		case f.Is("Feedback-ID"), f.Is("List-Unsubscribe"), f.Is("List-Id"):
			isAuto = true
		case f.Is("In-Reply-To"):
			isAnswer = true
		case f.Is("List-Post"):
			isPost = isPost || listAddress(f) != ""
		}
	}
	return isAuto, isAnswer, isPost
}

// listAddress is the address of a List-Post field (RFC 2369 section 3.4) in lower case, "" for
// none.
func listAddress(f message.Field) string {
	v := lowered(f, 300)
	_, v, ok := strings.Cut(v, "<mailto:")
	if !ok {
		return ""
	}
	v, _, ok = strings.Cut(v, ">")
	v, _, _ = strings.Cut(v, "?")
	if !ok || strings.Count(v, "@") != 1 || strings.ContainsAny(v, "% \t\r\n,") {
		return ""
	}
	return v
}

// learned keeps the address that a list for discussion is posted to, if a signature of the
// address's domain proves it: a stranger could else call any address of ours a list's.
func (rs Reports) learned(h message.Header, r *verify.Results) {
	if rs.Recorder == nil || rs.Lists == nil {
		return
	}
	for _, f := range h {
		if !f.Is("List-Post") {
			continue
		}
		address := listAddress(f)
		at := pathDomain(address)
		if at == "" || !slices.ContainsFunc(r.DKIM, func(s dkim.Result) bool {
			name, err := domain.Parse(s.Domain)
			return err == nil && s.Value == "pass" && below(at, name)
		}) {
			continue
		}
		rs.Lists.add(address)
		return
	}
}

// maxLists is how many addresses of lists are remembered; then those are forgotten that were not
// learned again since half as many came.
const maxLists = 10_000

// Lists remembers the addresses of mailing lists, as keyed digests in memory. Nil remembers none.
type Lists struct {
	seed maphash.Seed

	mu         sync.Mutex
	young, old map[uint64]struct{}
}

// NewLists returns an empty memory.
func NewLists() *Lists {
	return &Lists{seed: maphash.MakeSeed(), young: map[uint64]struct{}{}}
}

func (l *Lists) add(address string) {
	key := maphash.String(l.seed, address)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.young) >= maxLists/2 {
		l.old, l.young = l.young, map[uint64]struct{}{}
	}
	l.young[key] = struct{}{}
}

// has reports whether an envelope address is that of a list.
func (l *Lists) has(path string) bool {
	if l == nil {
		return false
	}
	key := maphash.String(l.seed, strings.ToLower(strings.Trim(path, "<>")))
	l.mu.Lock()
	defer l.mu.Unlock()
	_, isYoung := l.young[key]
	_, isOld := l.old[key]
	return isYoung || isOld
}
