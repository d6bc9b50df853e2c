package keys

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// TLS is how a source of keys that is elsewhere is known, and knows us. It can be compared.
type TLS struct {
	CAFile      string // authorities that the server's certificate must come from; "": the system's
	Certificate string // our certificate, PEM, with Key
	Key         string // its private key
}

// Config reads the files, which must be there. TLS is of version 1.2 or later. Each connection takes a new one, so that
// authorities may change as well.
func (t TLS) Config() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		text, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("keys: %s holds no certificate", t.CAFile)
		}
	}
	if t.Certificate == "" {
		return conf, nil
	}
	load := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		c, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
		return &c, err
	}
	if _, err := load(nil); err != nil {
		return nil, err
	}
	conf.GetClientCertificate = load
	return conf, nil
}
