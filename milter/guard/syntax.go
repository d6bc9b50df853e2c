package guard

import "bytes"

const (
	// maxEnvelope is what a command of the envelope or a list of macros may be long: several times
	// what either MTA takes as an SMTP command.
	maxEnvelope = 64 << 10
	// maxArgs is how many ESMTP arguments a path may have.
	maxArgs = 100
)

// shape checks a command by its length alone, before its data is read.
func shape(code Code, size int) error {
	switch code {
	case Header, Body, EndOfBody:
		return nil
	case Abort, Quit, QuitNewConn, EndOfHeader, Data:
		if size > 0 {
			return malformed("%v with %d octets of data", code, size)
		}
	case Connect, Helo, Mail, Rcpt, Macro, Unknown, Negotiate:
		if size > maxEnvelope {
			return malformed("%v of %d octets; %d are allowed", code, size, maxEnvelope)
		}
	default:
		return malformed("the unknown command %v", code)
	}
	return nil
}

// text returns the one NUL-terminated string that a command's data must be.
func text(code Code, data []byte) (string, error) {
	if len(data) == 0 || bytes.IndexByte(data, 0) != len(data)-1 {
		return "", malformed("%v is not one terminated string", code)
	}
	return string(data[:len(data)-1]), nil
}

// parsePath reads the data of MAIL and RCPT: one NUL-terminated string or more.
func parsePath(code Code, data []byte) (Path, error) {
	n := bytes.Count(data, []byte{0})
	if n == 0 || data[len(data)-1] != 0 {
		return Path{}, malformed("%v is not a list of terminated strings", code)
	}
	if n-1 > maxArgs {
		return Path{}, malformed("%v with %d arguments; %d are allowed", code, n-1, maxArgs)
	}
	path, rest, _ := bytes.Cut(data, []byte{0})
	p := Path{Raw: string(path)}
	for len(rest) > 0 {
		var arg []byte
		arg, rest, _ = bytes.Cut(rest, []byte{0})
		p.Args = append(p.Args, string(arg))
	}
	return p, nil
}

// splitHeader returns where the name in a HEADER's data ends: the value follows its NUL and ends
// before the last octet.
func splitHeader(data []byte) (int, error) {
	end := bytes.IndexByte(data, 0)
	switch {
	case end < 0 || end == len(data)-1:
		return 0, malformed("HEADER is not two terminated strings")
	case end == 0:
		return 0, malformed("HEADER without a name")
	case bytes.IndexByte(data[end+1:], 0) != len(data)-end-2:
		return 0, malformed("HEADER of %.60q is not two terminated strings", data[:end])
	}
	return end, nil
}
