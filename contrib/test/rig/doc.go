// Package rig runs real servers for tests and benchmarks: Debian's Postfix and Sendmail, each in a
// private root of its own, on loopback, with the very configuration snippets that contrib ships;
// OpenDKIM, PostgreSQL, MariaDB, unbound and dkimpy; and mailseal itself, built once for a run.
// Beside them stand an SMTP client that can misbehave and an SMTP sink that keeps what was
// delivered, byte for byte.
//
// All of them are started by Start, in process.go: that is where their output is kept, where they
// are signalled, and what ends them together with the process that started them.
//
// The packages are unpacked by contrib/test/fetch.sh under .root; the mail servers run chrooted
// there, so they see the paths, users and permissions that they see on a Debian host (/etc/postfix,
// /var/spool/postfix, group postfix), while the host's own mail server, users and spool are never
// touched. chroot, rather than relocated configuration, because Postfix looks up its users in
// /etc/passwd and cleans the environment of its daemons, and because a snippet that had to be
// rewritten for the test would not be the snippet that people get. No mounts and no namespaces: it
// works in a container.
//
// Private roots need root, as Postfix's master does; a test is skipped, with the reason, where that
// or a package is missing, and with -short. Everything stops with the test.
package rig
