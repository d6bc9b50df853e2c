package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestEverywhere holds that the page of a source in all domains has the numbers of its pages in
// each, by name and by address, and none of a domain that the visitor may not see.
func TestEverywhere(t *testing.T) {
	m := world()
	s := newServer(t, m, nil)
	for _, source := range []string{"forward.test", "esp.example", "198.51.100.80", "192.0.2.44"} {
		want := map[string]int64{}
		for i := range m.RecordList {
			r := &m.RecordList[i]
			isIt := r.Address.String() == source || source == "forward.test" &&
				r.Address.String() == "198.51.100.77" ||
				source == "esp.example" && r.Address.String() == "198.51.100.12"
			if isIt && r.Day >= today-30 && r.Day < today {
				want[r.Domain] += r.Count
			}
		}
		var list struct {
			Rows []struct {
				Domain   string
				Messages int64
			}
		}
		if err := json.Unmarshal(get(s, "/s/"+url.PathEscape(source)+"/domains.json").Body.Bytes(),
			&list); err != nil {
			t.Fatal(err)
		}
		for _, r := range list.Rows {
			if want[r.Domain] != r.Messages {
				t.Errorf("%s as %s: %d messages, want %d", source, r.Domain, r.Messages,
					want[r.Domain])
			}
			delete(want, r.Domain)
		}
		if len(want) > 0 || len(list.Rows) == 0 {
			t.Errorf("%s: missing %v", source, want)
		}
	}
	if w := get(s, "/s/none.test"); w.Code != http.StatusNotFound {
		t.Errorf("a source that there is not: status %d", w.Code)
	}
	if body := get(s, "/d/shop.example/s/esp.example").Body.String(); !strings.Contains(body,
		`href="/s/esp.example?`) {
		t.Error("the page of a source does not lead to it in all domains")
	}
	ask, _, _ := restricted(t)
	if body := ask("/s/198.51.100.80").Body.String(); !strings.Contains(body, "example.org") ||
		foreignNames.MatchString(body) {
		t.Errorf("a reader of example.org: %s", foreignNames.FindString(body))
	}
	if w := ask("/s/esp.example"); w.Code != http.StatusNotFound {
		t.Errorf("a source of another domain: status %d", w.Code)
	}
}
