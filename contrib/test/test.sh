#!/bin/bash
# What "make test" runs: "make check" without its tests, then the race detector, the release build's cryptography, and
# everything with the end-to-end tests on real MTAs. Quiet where all is well; what was skipped, and why, is at the end.
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

# These read much in one goroutine. The race detector would find nothing there, and makes them ten times as slow.
ALONE='^Test(Plain(Words|Papers)|LimitsAreListed|Bombs|JoinedBombs|PackedMailbox|Stored(Pages|Records|OwnMail)|Bin|TablesEqual)$' # go test -skip

say() { echo "test: $*"; }

# Without a C compiler there is no race detector. CI's fresh machine may get one.
compiler() {
	command -v "$(go env CC)" >/dev/null && return
	[ -n "${CI:-}" ] && [ "$(id -u)" = 0 ] || return 1
	say "installing a C compiler for the race detector"
	{ apt-get -qq update && apt-get -qq install -y --no-install-recommends gcc libc6-dev; } >/dev/null 2>&1
}

# A phase says how long it took, and is named at the end if it failed.
phase() { # NAME WHAT COMMAND...
	local name=$1 what=$2 began=$SECONDS
	shift 2
	say "$what"
	"$@" || failed="$failed $name"
	say "$name: $((SECONDS - began)) s"
	times="$times $name $((SECONDS - began)) s,"
}

suite() { # FLAG... PACKAGE...
	go test -v -timeout 15m "$@" 2>&1 | awk -v skips="$skips" -f contrib/test/summary.awk
}

fetch() { contrib/test/fetch.sh || say "some end-to-end tests will be skipped"; }

all=
if [ "${1:-}" = -all ]; then
	all=yes
	shift
fi
[ $# -gt 0 ] || set -- ./...
failed=
skipped=
times=
skips=no

# The mirror is slow and the compiler is not: both at once.
say "the packages that the end-to-end tests drive, meanwhile"
fetched=$(mktemp)
fetch >"$fetched" 2>&1 &
phase check "make check, without its tests" contrib/test/check.sh -code "$@"
wait $!
cat "$fetched"
rm "$fetched"
say "fetch and check: $SECONDS s"
PATH=$PWD/.root/tools:$PATH # a Python with dkimpy and pyspf

if compiler; then
	CGO_ENABLED=1 phase race "with the race detector" suite -short -race -skip "$ALONE" "$@"
	if [ "$(go env GOOS)" = linux ]; then
		CGO_ENABLED=1 phase openssl "with the release build's cryptography: RSA by OpenSSL" \
			suite -tags openssl ./keys ./keys/openssl ./keys/keyfile ./keys/keylife ./milter/dkim/... ./milter/arc ./milter/sign
	fi
	if [ -n "$all" ]; then
		CGO_ENABLED=1 phase end-to-end-race "end to end with the race detector" suite -race "$@"
	fi
else
	skipped="no C compiler here: the race detector did not run"
fi
if [ -n "$all" ]; then
	MAILSEAL_LONG=1 phase long "long tests" suite -timeout 2h -run "$LONG" "$@"
	if [ "$(id -u)" = 0 ]; then
		phase packages "packages" contrib/packages/test.sh
	fi
	phase fuzz "fuzzing" contrib/test/fuzz.sh 3m "$@"
fi
skips=yes
# What takes longest begins first, beside all others.
[ "$*" != ./... ] || set -- ./contrib/test/e2e ./...
phase tests "everything" suite "$@"

[ -z "$skipped" ] || echo "  $skipped"
say "took$times all $SECONDS s"
if [ -n "$failed" ]; then
	say "FAILED:$failed"
	exit 1
fi
