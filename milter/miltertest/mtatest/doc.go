// Package mtatest runs real mail servers for tests: Debian's Postfix and Sendmail, each in a private root of its own, on
// loopback, with the very configuration snippets that contrib ships. Beside them stand a SMTP client that can misbehave
// and a SMTP sink that keeps what was delivered, octet for octet.
//
// The packages are unpacked by contrib/test/fetch.sh under .root; the programs run chrooted there, so they see the paths,
// users and permissions that they see on a Debian host (/etc/postfix, /var/spool/postfix, group postfix), while the
// host's own mail server, users and spool are never touched. chroot, rather than relocated configuration, because Postfix
// looks up its users in /etc/passwd and cleans the environment of its daemons, and because a snippet that had to be
// rewritten for the test would not be the snippet that people get. No mounts and no namespaces: it works in a container.
//
// Everything needs root, as Postfix's master does; a test is skipped, with the reason, where that or a package is missing.
// Everything stops with the test.
package mtatest
