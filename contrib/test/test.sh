#!/bin/bash
# What "make test" runs: "make check", then the race detector, the release build's cryptography, and everything with the
# end-to-end tests on real MTAs. Quiet where all is well; what was skipped, and why, is at the end.
#
#	contrib/test/test.sh [-all] [PACKAGE...]
#
# Nothing slow runs twice. The race detector makes the end-to-end tests about three times as slow, and their waiting is on
# MTAs, not on us; what is concurrent in Mailseal is driven by unit tests, over loopback sockets and with the same
# goroutines. So "make test" runs unit tests (-short) with it and end-to-end tests without, and -all ("make test-all")
# adds what takes longer:
#
#	- the end-to-end tests with the race detector, in the tests and in the daemon that they start;
#	- the tests of $LONG, with MAILSEAL_LONG=1. Such a test has Long in its name and skips without that variable;
#	- every fuzz target for three minutes ("make fuzz" is the same for FUZZTIME).
#
# As root with CI set it may install a C compiler, which the race detector needs; otherwise it installs nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."

LONG='Long' # go test -run

say() { echo "test: $*"; }

# Without a C compiler there is no race detector. CI's fresh machine may get one.
compiler() {
	command -v "$(go env CC)" >/dev/null && return
	[ -n "${CI:-}" ] && [ "$(id -u)" = 0 ] || return 1
	say "installing a C compiler for the race detector"
	{ apt-get -qq update && apt-get -qq install -y --no-install-recommends gcc libc6-dev; } >/dev/null 2>&1
}

suite() { # FLAG... PACKAGE...
	local began=$SECONDS status=0
	go test -v -timeout 15m "$@" 2>&1 | awk -v skips="$skips" -f contrib/test/summary.awk || status=1
	say "that took $((SECONDS - began)) s"
	return $status
}

all=
if [ "${1:-}" = -all ]; then
	all=yes
	shift
fi
[ $# -gt 0 ] || set -- ./...
failed=
skipped=
skips=no

contrib/test/fetch.sh || say "some end-to-end tests will be skipped"
PATH=$PWD/.root/tools:$PATH # a Python with dkimpy and pyspf

say "make check"
contrib/test/check.sh "$@" || failed="$failed check"

if compiler; then
	say "with the race detector"
	CGO_ENABLED=1 suite -short -race "$@" || failed="$failed race"
	if [ "$(go env GOOS)" = linux ]; then
		say "with the release build's cryptography: RSA by OpenSSL"
		CGO_ENABLED=1 suite -tags openssl ./keys/... ./milter/dkim/... ./milter/arc ./milter/sign || failed="$failed openssl"
	fi
	if [ -n "$all" ]; then
		say "end to end with the race detector"
		CGO_ENABLED=1 suite -race "$@" || failed="$failed end-to-end-race"
	fi
else
	skipped="no C compiler here: the race detector did not run"
fi
if [ -n "$all" ]; then
	say "long tests"
	MAILSEAL_LONG=1 suite -timeout 2h -run "$LONG" "$@" || failed="$failed long"
	say "fuzzing"
	contrib/test/fuzz.sh 3m "$@" || failed="$failed fuzz"
fi
say "everything"
skips=yes
suite "$@" || failed="$failed tests"

[ -z "$skipped" ] || echo "  $skipped"
if [ -n "$failed" ]; then
	say "FAILED:$failed"
	exit 1
fi
