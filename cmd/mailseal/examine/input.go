package examine

import (
	"io"

	"mailseal/keys/files"
)

// ReadInput reads a file or pipe of at most limit bytes, standard input for "-".
func ReadInput(file string, stdin io.Reader, limit int64) ([]byte, error) {
	if file == "-" {
		return files.ReadAll(stdin, "standard input", limit)
	}
	return files.ReadAny(file, limit)
}
