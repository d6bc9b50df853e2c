// Package e2e holds the end-to-end tests: mailseal itself, as it is installed, behind real mail
// servers and databases, beside OpenDKIM, and as a command. What they start is in contrib/test/rig;
// contrib/test/fetch.sh fetches it. With -short, and where something is missing, they are skipped,
// with the reason.
package e2e
