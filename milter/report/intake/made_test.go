package intake

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"mailseal/milter/report"
)

// Files that the cases of TestContainers are made of.

// bz2 holds "unused", compressed with bzip2: the library cannot write it.
var bz2, _ = base64.StdEncoding.DecodeString(
	"QlpoOTFBWSZTWYpLYt4AAALBgAAQBgEKACAAIYAMATuF3F3JFOFCQikti3g=")

// cms is the beginning of a file of S/MIME: 2 for signed data, 3 for encrypted.
func cms(kind byte) []byte {
	return append([]byte("\x30\x82\x01\x00\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07"+
		string([]byte{kind})+"\xa0\x82"),
		bytes.Repeat([]byte{1}, 50)...)
}

// damaged is a zip file of a report, with a checksum that is wrong.
func damaged(report []byte) string {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, _ := w.CreateRaw(&zip.FileHeader{Name: "r.xml", Method: zip.Store, CRC32: 1,
		CompressedSize64: uint64(len(report)), UncompressedSize64: uint64(len(report))})
	f.Write(report)
	w.Close()
	return b.String()
}

// method is a zip file that says that its entry is compressed with a method.
func method(report []byte, method, flags uint16) string {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, _ := w.CreateRaw(&zip.FileHeader{Name: "r.xml", Method: method, Flags: flags,
		CompressedSize64: uint64(len(report)), UncompressedSize64: uint64(len(report))})
	f.Write(report)
	w.Close()
	return b.String()
}

// tarred makes a tar file of names and what is in them.
func tarred(entries ...any) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(entries); i += 2 {
		data := entries[i+1].([]byte)
		w.WriteHeader(&tar.Header{Name: entries[i].(string), Mode: 0o644, Size: int64(len(data))})
		w.Write(data)
	}
	w.Close()
	return b.Bytes()
}

func deflated(data []byte) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

// uu encodes data as uuencode does.
func uu(data []byte) string {
	var b strings.Builder
	b.WriteString("begin 644 r.xml.gz\r\n")
	for ; len(data) > 0; data = data[min(45, len(data)):] {
		line := data[:min(45, len(data))]
		fmt.Fprintf(&b, "%c", ' '+len(line))
		for i := 0; i < len(line); i += 3 {
			var three [3]byte
			copy(three[:], line[i:])
			bits := uint32(three[0])<<16 | uint32(three[1])<<8 | uint32(three[2])
			for shift := 18; shift >= 0; shift -= 6 {
				fmt.Fprintf(&b, "%c", ' '+bits>>shift&63)
			}
		}
		b.WriteString("\r\n")
	}
	return b.String() + "`\r\nend\r\n"
}

// nested is a mail with nested mails of a type, around a text.
func nested(kind string, depth int, text string) string {
	return strings.Repeat("Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: "+kind+"\r\n\r\n",
		depth) +
		"Subject: x\r\n\r\n" + text
}

// sparse is a tar file of a kilobyte with a file of a terabyte.
func sparse() []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	w.WriteHeader(&tar.Header{Name: "r.xml", Mode: 0o644, Size: 1 << 40})
	w.Write([]byte("<feedback>"))
	return append(b.Bytes(), make([]byte, 1024)...)
}

// What cannot be read is named, and what to do with it.
func TestRemedies(t *testing.T) {
	x := xml("1")
	for _, tc := range []struct{ name, data, want string }{
		{"xz", "\xfd7zXZ\x00123", "a file of xz, which is not supported: unpack it with xz -d"},
		{"7-Zip", "7z\xbc\xaf\x27\x1c123", "unpack it with 7z x"},
		{"a method of zip", method(x, 14, 0), "compressed with LZMA, which is not supported"},
		{"a password", method(x, 0, 1), "the zip file is encrypted"},
		{"a zip of which nothing is left", "PK\x03\x04\x14\x00",
			"nothing of it can be read; ask the sender for it again"},
		{"a gzip of which nothing is left", string(gz(x)[:12]),
			"nothing of it can be read; ask the sender for it again"},
		{"Outlook", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "save it as .eml"},
		{"winmail.dat", "\x78\x9f\x3e\x22", "winmail.dat"},
		{"S/MIME, signed", string(cms(2)), "save the attachment, and import that"},
		{"S/MIME, encrypted", string(cms(3)), "the mail is encrypted"},
		{"PGP", "-----BEGIN PGP MESSAGE-----\n", "the mail is encrypted"},
		{"a link", top + "Content-Type: message/external-body\r\n\r\nX: y\r\n\r\n", "download it, and import the file"},
		{"damaged JSON", `{"organization-name":"Org","policies":[{`,
			"the TLS report is damaged or cut off: line 1, byte 41: the file ends early"},
	} {
		parts := Look("x", []byte(tc.data))
		err := parts[0].Err
		if parts[0].Kind == TLS {
			_, err = report.ReadTLS(strings.NewReader(tc.data))
		}
		if len(parts) != 1 || err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
}
