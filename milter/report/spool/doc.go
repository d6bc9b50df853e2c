// Package spool keeps evaluations on disk between the daemon, which judges mail, and the process
// that makes reports of them. The daemon only appends: it never waits for a database, and mail goes
// on whatever becomes of the reports.
//
// A segment is a file with what was judged in some minutes and falls into one of 16 partitions, by
// policy domain. It is written as NAME.open and closed as NAME.seg; the reader deletes it. The two
// processes are different users: the directory belongs to a group that both are in, and is setgid.
// The reader parses files of strangers and may be taken over, so the writer opens nothing that is
// there already, and follows no link.
//
// A segment begins with a line that names its form, and goes on with blocks: length and CRC-32C of
// the payload, four bytes each, big endian, and the payload. A writer that dies leaves at most one
// block unfinished, at the end. Records are written against a table of strings that both sides
// build as they go; the table has a bound, so that a sender who makes names up cannot fill the
// daemon's memory.
package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"strconv"
	"strings"
	"time"
)

const (
	// Partitions is the number of parts that policy domains are divided into. One is counted at a
	// time, so that a sixteenth of a day must fit into memory.
	Partitions = 16

	// Interval is how long a segment is written.
	Interval = 5 * time.Minute

	// WriteEvery is how often what was judged is given to the kernel: a daemon that dies loses what
	// came since.
	WriteEvery = 50 * time.Millisecond

	// SyncEvery is how often the kernel is asked to write it to the disk, for a host that dies.
	SyncEvery = 200 * time.Millisecond

	startForm = "20060102T150405Z" // of the time in a segment's name

	magic    = "mailseal-segment 1\n"
	openExt  = ".open"
	closeExt = ".seg"

	maxBlock   = 1 << 20  // bytes of a payload
	flushAt    = 64 << 10 // bytes of a payload that are written without waiting for SyncEvery
	maxStrings = 4096     // of the table of strings of a segment
	maxString  = 64 << 10 // bytes; no DNS record is longer
)

// ErrCorrupt means that a file is not a segment, or that it is damaged. The records before
// the damage have been read.
var ErrCorrupt = errors.New("damaged segment")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Partition returns the partition of the messages that are judged by the policy of a domain.
func Partition(domain string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(strings.ToLower(domain)))
	return int(h.Sum32() % Partitions)
}

// name is that of a segment, without its extension. The random part keeps hosts that share a
// directory apart, and a daemon from one that was killed a moment ago.
func name(start time.Time, partition int, random uint64) string {
	return fmt.Sprintf("%s-%02d-%016x", start.UTC().Format(startForm), partition, random)
}

// PartitionOf is the partition of a segment by its file's name, -1 where it is not one.
func PartitionOf(file string) int {
	parts := strings.Split(strings.TrimSuffix(strings.TrimSuffix(file, closeExt), openExt), "-")
	if len(parts) != 3 {
		return -1
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil || n < 0 || n >= Partitions {
		return -1
	}
	return n
}

// blockHead is the size of the head of a block, before its payload.
const blockHead = 8

func appendBlock(to, payload []byte) []byte {
	to = binary.BigEndian.AppendUint32(to, uint32(len(payload)))
	to = binary.BigEndian.AppendUint32(to, crc32.Checksum(payload, castagnoli))
	return append(to, payload...)
}
