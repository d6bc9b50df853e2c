package miltertest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"

	"mailseal/keys/files"
	"mailseal/milter/guard"
)

// Recorded is one packet of a recorded conversation.
type Recorded struct {
	guard.Packet
	MTA bool // said by the MTA, not by the milter
}

// Recording is a file of recorded conversations.
type Recording struct {
	Name          string // the file's, without directory
	Conversations [][]Recorded
}

// maxRecording bounds a file of recorded conversations, in bytes.
const maxRecording = 64 << 20

// ReadRecordings reads the files *.jsonl of a directory; none where the directory does not exist.
func ReadRecordings(dir string) (all []Recording, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	for _, file := range names {
		conversations, err := readRecording(file)
		if err != nil {
			return nil, err
		}
		all = append(all, Recording{filepath.Base(file), conversations})
	}
	return all, err
}

// readRecording reads a file of recorded conversations, one JSON object a line: "conn", "dir"
// ("mta" or "filter"), "cmd" (the packet's letter), "data" (base64). Lines without "cmd" are left
// out. The conversations come in the order in which they began.
func readRecording(file string) (conversations [][]Recorded, err error) {
	text, err := files.Read(file, maxRecording)
	if err != nil {
		return nil, err
	}
	at := map[int]int{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l struct {
			Conn     int
			Dir, Cmd string
			Data     []byte
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if l.Cmd == "" {
			continue
		}
		i, known := at[l.Conn]
		if !known {
			i = len(conversations)
			at[l.Conn] = i
			conversations = append(conversations, nil)
		}
		p := guard.Packet{Code: guard.Code(l.Cmd[0]), Data: l.Data}
		conversations[i] = append(conversations[i], Recorded{p, l.Dir == "mta"})
	}
	return conversations, lines.Err()
}
