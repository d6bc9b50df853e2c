//go:build !openssl || !cgo || !linux

package openssl

import "crypto/rsa"

func load() (string, error) { return "", ErrNotBuilt }

func prepare(*rsa.PrivateKey) (func(digest []byte) ([]byte, error), error) {
	return nil, ErrNotBuilt
}
