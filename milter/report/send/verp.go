package send

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// What ParseVERP says of other addresses.
var (
	errNotVERP   = errors.New("not the envelope sender of a report")
	errWrongCode = errors.New("not an envelope sender that this store gave out: its code is wrong")
)

// VERP is the envelope sender of one mail: a bounce to it says which mail it is about. All but the
// code at its end can be guessed from what is public; the code is made with a key of the store, so
// that a bounce that could not be made up is the only one that counts. With at most 99 mails of a
// report the local part fits into the 64 bytes of RFC 5321 section 4.5.3.1.1.
func (s Sender) VERP(key []byte, reportID string, n int) string {
	return fmt.Sprintf("r+%s-%d-%s@%s", reportID, n, verpCode(key, reportID, n), s.Domain)
}

// verpCode is 26 letters and digits, of 128 bits. Mail servers may change the case of a local part,
// so that it has none.
func verpCode(key []byte, reportID string, n int) string {
	h := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(h, "%s-%d", reportID, n)
	code := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil)[:16])
	return strings.ToLower(code)
}

// ParseVERP returns the report and the number of the mail that a bounce is about. Err is errNotVERP
// or errWrongCode.
func ParseVERP(key []byte, address string) (reportID string, n int, err error) {
	local, _, _ := strings.Cut(strings.ToLower(strings.Trim(address, "<>")), "@")
	rest, isOurs := strings.CutPrefix(local, "r+")
	id, rest, hasNumber := strings.Cut(rest, "-")
	if !isOurs || !hasNumber || len(id) != 32 {
		return "", 0, errNotVERP
	}
	number, code, _ := strings.Cut(rest, "-")
	n, err = strconv.Atoi(number)
	if err != nil || strconv.Itoa(n) != number {
		return "", 0, errNotVERP
	}
	if !hmac.Equal([]byte(code), []byte(verpCode(key, id, n))) {
		return "", 0, errWrongCode
	}
	return id, n, nil
}
