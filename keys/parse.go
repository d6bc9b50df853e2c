package keys

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"mailseal/keys/files"
	"mailseal/keys/openssl"
)

// Why a key cannot be used. The text that wraps it says what to do.
var (
	ErrNoKey       = errors.New("no private key")
	ErrMalformed   = errors.New("malformed private key")
	ErrEncrypted   = errors.New("encrypted private key")
	ErrPublic      = errors.New("a public key instead of the private key")
	ErrCertificate = errors.New("a certificate instead of the private key")
	ErrAlgorithm   = errors.New("not a kind of key that DKIM knows")
	ErrBits        = errors.New("invalid size of an RSA key")
	ErrPath        = fmt.Errorf("%w: a path", ErrMalformed)
)

// MaxSize bounds the text of a key, in octets. The largest RSA key that we take needs 13 KB.
const MaxSize = 64 << 10

// Parse reads a private key in any form that administrators keep them in: PEM (PKCS#8, or PKCS#1 as
// openssl genrsa and opendkim-genkey write it), the same DER in base64 without armour (OpenDKIM's
// inline keys), or an Ed25519 seed in base64 (32 octets; 64 where the public key follows it, as
// dkimpy and rspamd keep them).
func Parse(text []byte) (crypto.Signer, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("%w: %d octets, at most %d", ErrMalformed, len(text), MaxSize)
	}
	if der := binaryDER(text); der != nil {
		return nil, describeDER(der)
	}
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))
	switch {
	case len(text) == 0:
		return nil, fmt.Errorf("%w: the text is empty", ErrNoKey)
	case bytes.Contains(text, []byte("-----BEGIN")):
		return parsePEM(text)
	}
	return parseBase64(text)
}

// parsePEM takes the only private key among the blocks: files that hold parameters, a certificate
// or the public half beside it are common.
func parsePEM(text []byte) (crypto.Signer, error) {
	var found crypto.Signer
	var other error
	blocks := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		blocks++
		s, err := parseBlock(block)
		switch {
		case err == nil && found != nil:
			return nil, fmt.Errorf("%w: there are several; keep one key per file", ErrMalformed)
		case err == nil:
			found = s
		case other == nil || !isPrivate(other):
			other = err
		}
	}
	switch {
	case other != nil && (found == nil || isPrivate(other)):
		return nil, other
	case found != nil:
		return found, nil
	case blocks == 0:
		return nil, fmt.Errorf("%w: the PEM text is truncated, or has lost its line ends",
			ErrMalformed)
	}
	return nil, fmt.Errorf("%w in the PEM text", ErrNoKey)
}

// isPrivate tells trouble with a private key from a block that is something else.
func isPrivate(err error) bool {
	return !errors.Is(err, ErrPublic) && !errors.Is(err, ErrCertificate) &&
		!errors.Is(err, ErrNoKey)
}

func parseBlock(b *pem.Block) (crypto.Signer, error) {
	if strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED") || b.Type == "ENCRYPTED PRIVATE KEY" {
		return nil,
			fmt.Errorf(
				"%w: the daemon cannot ask for a password; openssl pkey -in FILE -out NEWFILE removes it", ErrEncrypted)
	}
	switch b.Type {
	case "PRIVATE KEY", "RSA PRIVATE KEY":
		return parseDER(b.Bytes)
	case "PUBLIC KEY", "RSA PUBLIC KEY":
		return nil, fmt.Errorf("%w: use the file with PRIVATE KEY in it", ErrPublic)
	case "CERTIFICATE", "TRUSTED CERTIFICATE", "X509 CERTIFICATE", "CERTIFICATE REQUEST":
		return nil, fmt.Errorf("%w: use the file with PRIVATE KEY in it", ErrCertificate)
	case "OPENSSH PRIVATE KEY":
		return nil, fmt.Errorf("%w: an OpenSSH key; mailseal keygen makes one for DKIM",
			ErrAlgorithm)
	case "EC PRIVATE KEY":
		return nil, fmt.Errorf("%w: an elliptic curve key; DKIM signs with RSA and Ed25519 only",
			ErrAlgorithm)
	case "DSA PRIVATE KEY":
		return nil, fmt.Errorf("%w: a DSA key; DKIM signs with RSA and Ed25519 only", ErrAlgorithm)
	}
	return nil, fmt.Errorf("%w: the PEM text is a %s", ErrNoKey, strings.ToLower(b.Type))
}

// parseDER reads PKCS#8 or PKCS#1, whatever the PEM type is: OpenDKIM accepts both under
// both.
func parseDER(der []byte) (crypto.Signer, error) {
	if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return checked(k)
	}
	k, err := x509.ParsePKCS8PrivateKey(der)
	if err == nil {
		return checked(k)
	}
	if isPSS(der) {
		return nil,
			fmt.Errorf("%w: an RSA-PSS key; DKIM has plain RSA only, as mailseal keygen makes it",
				ErrAlgorithm)
	}
	if _, err := x509.ParsePKIXPublicKey(der); err == nil {
		return nil, fmt.Errorf("%w: this is the text of a DNS record's p= tag", ErrPublic)
	}
	return nil, fmt.Errorf("%w: neither PKCS#8 nor PKCS#1; the file may be incomplete",
		ErrMalformed)
}

func checked(k any) (crypto.Signer, error) {
	switch k := k.(type) {
	case *rsa.PrivateKey:
		if err := checkBits(k.N.BitLen()); err != nil {
			return nil, err
		}
		return openssl.Signer(k), nil
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, fmt.Errorf("%w: %T; DKIM signs with RSA and Ed25519 only", ErrAlgorithm, k)
}

func parseBase64(text []byte) (crypto.Signer, error) {
	compact := strings.TrimRight(strings.Join(strings.Fields(string(text)), ""), "=")
	raw, err := base64.RawStdEncoding.DecodeString(compact)
	if err != nil {
		if path := string(text); isPath(path) {
			return nil, fmt.Errorf("%w: it is a file path, %s, instead of the key itself",
				ErrPath, path)
		}
		return nil, fmt.Errorf("%w: neither PEM nor base64", ErrMalformed)
	}
	switch len(raw) {
	case ed25519.SeedSize:
		return ed25519.NewKeyFromSeed(raw), nil
	case ed25519.PrivateKeySize:
		return seedAndPublic(raw)
	}
	return parseDER(raw)
}

func seedAndPublic(raw []byte) (crypto.Signer, error) {
	k := ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize])
	if !bytes.Equal(k, raw) {
		return nil, fmt.Errorf("%w: 64 octets whose second half is not the public key of the first",
			ErrMalformed)
	}
	return k, nil
}

// isPath reports whether a text that is not a key looks like the path of a file, as the tables of
// other programs have it: an absolute one, or one that ends as files of keys do. A text of base64
// alone is taken for a broken key, which must not be shown.
func isPath(text string) bool {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/+="
	path := strings.TrimPrefix(text, "file:")
	if len(path) >= maxPath || strings.ContainsAny(path, " \t\r\n\x00") ||
		strings.Trim(path, plain) == "" {
		return false
	}
	isAbsolute := strings.HasPrefix(path, "/") && strings.Count(path, "/") > 1
	return isAbsolute || slices.Contains(extensions, filepath.Ext(path))
}

// maxPath bounds a path in place of a key, in bytes.
const maxPath = 256

// extensions are those of the files that keys are kept in.
var extensions = []string{".pem", ".key", ".private", ".rsa", ".ed25519", ".der", ".txt"}

// ParseBelow is Parse for an answer that may be the path of a file below dir instead of the key:
// relative to dir, or absolute and below it. No link and no ".." leads out of dir. Without dir no
// file is read.
func ParseBelow(text []byte, dir string) (crypto.Signer, error) {
	path := strings.TrimPrefix(string(bytes.TrimSpace(text)), "file:")
	isBelow := dir != "" && len(path) < maxPath &&
		strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
	if !isBelow {
		signer, err := Parse(text)
		switch {
		case !errors.Is(err, ErrPath):
			return signer, err
		case dir == "":
			return nil, fmt.Errorf("%w; with key_dir of the source, files below a directory can "+
				"be read", err)
		case strings.HasPrefix(path, "/"):
			return nil, fmt.Errorf("%w: %s is not below %s (key_dir)", ErrPath, path, dir)
		}
	}
	relative := path
	if isBelow {
		relative = strings.TrimPrefix(path, strings.TrimSuffix(dir, "/")+"/")
	}
	found, err := files.ReadBelow(dir, relative, MaxSize)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPath, err)
	}
	signer, err := Parse(found)
	if err != nil {
		return nil, fmt.Errorf("%s below %s (key_dir): %w", relative, dir, err)
	}
	return signer, nil
}
