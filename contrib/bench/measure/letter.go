package measure

import "strings"

// header is a short header as an MTA shows it: 8 fields.
const header = "Received: from client.example.com (client.example.com [192.0.2.25])\r\n\tby " +
	"mx.example.com (Postfix) with ESMTPS id ABCDEF\r\n" +
	"\tfor <rcpt@example.net>; Sun, 22 Nov 2026 10:00:00 +0000 (UTC)\r\nFrom: User " +
	"<user@example.com>\r\nTo: Rcpt <rcpt@example.net>\r\n" +
	"Subject: A message to measure with\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: " +
	"<abc@example.com>\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"

// HeaderFields is how many fields a Letter has of itself.
var HeaderFields = strings.Count(strings.ReplaceAll(header, "\r\n\t", " "), "\r\n")

// Letter is a message with a body of so many octets, at least two: text with double and trailing
// spaces, which canonicalization has to look at. More fields, each with its line end, follow those
// that it has.
func Letter(size int, fields ...string) []byte {
	const line = "No one has to read  what stands here, but it has to be hashed in full. \r\n"
	return []byte(header + strings.Join(fields, "") + "\r\n" +
		strings.Repeat(line, size/len(line)+1)[:size-2] + "\r\n")
}

// LetterFrom is a Letter of another author at the domain.
func LetterFrom(domain string, size int) []byte {
	return []byte(strings.Replace(string(Letter(size)), "<user@example.com>", "<user@"+domain+">",
		1))
}
