package domain

import "testing"

func TestIsFull(t *testing.T) {
	for name, want := range map[string]bool{
		"mail.example.com": true, "mail.example.com.": true, "MX.Example.COM": true, "mail.lan": true,
		"": false, "mail": false, "mail.": false, "localhost": false, "localhost.localdomain": false,
		"mail.localdomain": false, "192.0.2.1": false, "[192.0.2.1]": false, "2001:db8::1": false,
		"a b.example": false, "mail.example.com; x": false, "mail..example": false,
	} {
		if got := IsFull(name); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}
