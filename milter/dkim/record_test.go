package dkim_test

import (
	"strings"
	"testing"

	"mailseal/milter/dkim"
)

// Records that are read as what they are, and told in few words whatever they hold.
func TestBrokenRecordIsCut(t *testing.T) {
	long := strings.Repeat("x", 2000)
	for _, c := range []struct{ name, record, reason string }{
		{"no semicolons", "v=DKIM1 k=rsa p=" + long, "the key record has version "},
		{"an endless type", "v=DKIM1; k=" + long + "; p=AAAA", "the key record is of an unknown type (k=x"},
		{"an endless hash", "v=DKIM1; h=" + long + "; p=AAAA", "the key record does not allow SHA-256 (h=x"},
		{"an endless service", "v=DKIM1; s=" + long + "; p=AAAA", "the key record is not for mail (s=x"},
		{"no tags at all", long, "the key record is not a list of tags"},
		{"RSA-PSS", "v=DKIM1; k=rsa; p=MIIBIDALBgkqhkiG9w0BAQoDggEPADCCAQoCggEBALBf0aDpUNyI3UlP5x2T8" +
			"1CnjnCvV/t3L/Yuk2Xa9YHtCiedvyMUE/emb3Ccs0RPv0WZOCGt9iVwaTZjfoFHIpNJGWfs8/DEtN/aECnv1shfHqDps3JkPYSCHVjRo7+FpFufzz9axP44Kvv+IubhXNAIT9pQHs3Zr55/4v34V3lUk+8Gc6lAl9bpL9dzKOM932AQpWEvbZUS0Rj/eAzTeXUuYs3FZtu0YemtjR6kpitx457kDT0kgjjw++WK+1rtxaNSHU0ZWHy3JjKLfO/e5fO4RITYKNpH1lQC9pFaB8N8j217Nam25ncWxFx8yinIqHWLKJXjbMbWeADkqe6NfQcCAwEAAQ==",
			"the key in the record is an RSA-PSS key; DKIM has plain RSA only"},
		{"neither", "v=DKIM1; k=rsa; p=AAAA", "the key in the record cannot be read"},
	} {
		_, err := dkim.ParseRecord(c.record)
		if err == nil || !strings.Contains(err.Error(), c.reason) || len(err.Error()) > 160 {
			t.Errorf("%s: got %v, want %s", c.name, err, c.reason)
		}
	}
}
