package keys

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"mailseal/keys/files"
)

// TLS is how a source of keys that is elsewhere is known, and knows us. It can be compared.
type TLS struct {
	CAFile      string // authorities that the server's certificate must come from; "": the system's
	Certificate string // our certificate, PEM, with Key
	Key         string // its private key
}

// maxCAFile bounds a file of certificates, in bytes: the system's own has 200 KB.
const maxCAFile = 8 << 20

// Config reads the files, which must be there. It is for one connection: a caller that makes
// another one calls it again, so that files that have been replaced since count. TLS is of version
// 1.2 or later.
func (t TLS) Config() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		text, err := files.Read(t.CAFile, maxCAFile)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("there is no certificate in %s", t.CAFile)
		}
	}
	if t.Certificate == "" {
		return conf, nil
	}
	certificate, err := t.load()
	if err != nil {
		return nil, err
	}
	conf.Certificates = []tls.Certificate{certificate}
	return conf, nil
}

func (t TLS) load() (tls.Certificate, error) {
	certificate, err := files.Read(t.Certificate, maxCAFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := files.Read(t.Key, MaxSize)
	if err != nil {
		return tls.Certificate{}, err
	}
	defer clear(key)
	out, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return out, fmt.Errorf("%s with %s: %w", t.Certificate, t.Key, err)
	}
	return out, nil
}
