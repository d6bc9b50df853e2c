package web

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
)

// counter is a body that counts what was read.
type counter struct {
	io.Reader
	read int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += n
	return n, err
}

// fileForm is a multipart form with a file of n bytes.
func fileForm(t *testing.T, csrf string, n int) (*counter, string) {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	_ = form.WriteField("csrf", csrf)
	part, err := form.CreateFormFile("files", "r.xml")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write(bytes.Repeat([]byte("x"), n))
	_ = form.Close()
	return &counter{Reader: &body}, form.FormDataContentType()
}

// TestNoBodyIsReadWithoutNeed sends 40 MiB, which a form would keep in a file.
func TestNoBodyIsReadWithoutNeed(t *testing.T) {
	a, _, _ := accounts(t)
	s := serverWith(t, a, nil)
	anna := &browser{t: t, s: s, cookies: map[string]string{}, remote: "198.51.100.1:1"}
	anna.login("anna", "secret of anna")
	ben := &browser{t: t, s: s, cookies: map[string]string{}, remote: "198.51.100.1:1"}
	ben.login("ben", "secret of ben")
	guest := &browser{t: t, s: s, cookies: map[string]string{}, remote: "198.51.100.1:1"}
	const large = 40 << 20
	tests := []struct {
		name         string
		b            *browser
		method, path string
		most, status int
	}{
		{"GET", guest, http.MethodGet, "/login", 0, http.StatusOK},
		{"HEAD", guest, http.MethodHead, "/login", 0, http.StatusOK},
		{"GET of an administrator", anna, http.MethodGet, "/ingest", 0, http.StatusOK},
		{"POST without login", guest, http.MethodPost, "/ingest", 0, http.StatusSeeOther},
		{"POST of a reader", ben, http.MethodPost, "/ingest", 0, http.StatusForbidden},
		{"login", guest, http.MethodPost, "/login", maxFormBytes, http.StatusForbidden},
		{"logout", anna, http.MethodPost, "/logout", maxFormBytes, http.StatusSeeOther},
		{"verdict", anna, http.MethodPost, "/d/shop.example/s/203.0.113.5", maxFormBytes, http.StatusForbidden},
		{"no such page", anna, http.MethodPost, "/nothing", maxFormBytes, http.StatusNotFound},
		{"PUT", anna, http.MethodPut, "/login", maxFormBytes, http.StatusNotFound},
		{"upload", anna, http.MethodPost, "/ingest", uploadBytes, http.StatusForbidden},
	}
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	for _, c := range tests {
		body, kind := fileForm(t, "", large)
		r := httptest.NewRequest(c.method, c.path, body)
		r.Header.Set("Content-Type", kind)
		w := c.b.do(r)
		if w.Code != c.status {
			t.Errorf("%s: status %d, want %d", c.name, w.Code, c.status)
		}
		if body.read > c.most+1<<10 { // readers may ask for some more to see the end
			t.Errorf("%s: %d bytes were read, want at most %d", c.name, body.read, c.most)
		}
		if r.MultipartForm != nil && len(r.MultipartForm.File) > 0 {
			t.Errorf("%s: the files of the form were kept", c.name)
		}
		if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
			t.Errorf("%s: files on the disk: %v, %v", c.name, left, err)
		}
	}
}
