#!/bin/bash
# What "make test" runs: format, vet, unit tests with their fuzz seeds, end-to-end tests on real MTAs; all of it twice,
# once with the race detector, and what computes signatures a third time as the release build does it. Quiet where all is well; what was skipped, and why, stands at the end.
#
#	contrib/test/test.sh [PACKAGE...]
#
# As root with CI set it may install a C compiler, which the race detector needs; otherwise it installs nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."

say() { echo "test: $*"; }

# Without a C compiler there is no race detector. CI's fresh machine may get one.
compiler() {
	command -v "$(go env CC)" >/dev/null && return
	[ -n "${CI:-}" ] && [ "$(id -u)" = 0 ] || return 1
	say "installing a C compiler for the race detector"
	{ apt-get -qq update && apt-get -qq install -y --no-install-recommends gcc libc6-dev; } >/dev/null 2>&1
}

suite() { # FLAG... PACKAGE...
	go test -v -timeout 15m "$@" 2>&1 | awk -v skips="$skips" -f contrib/test/summary.awk
}

[ $# -gt 0 ] || set -- ./...
failed=
skipped=

contrib/test/fetch.sh || say "some end-to-end tests will be skipped"
PATH=$PWD/.root/tools:$PATH # a Python with dkimpy and pyspf

unformatted=$(gofmt -l cmd config contrib keys milter)
if [ -n "$unformatted" ]; then
	say "not formatted:" $unformatted
	failed="$failed gofmt"
fi
go vet "$@" || failed="$failed vet"

if compiler; then
	say "with the race detector"
	skips=no
	CGO_ENABLED=1 suite -race "$@" || failed="$failed race"
	if [ "$(go env GOOS)" = linux ] && { [ "$(go env GOARCH)" = amd64 ] || [ "$(go env GOARCH)" = arm64 ]; }; then
		say "with the release build's cryptography"
		CGO_ENABLED=1 GOEXPERIMENT=boringcrypto suite ./milter/dkim ./milter/dkim/crosscheck ./milter/arc ./milter/sign ./keys || failed="$failed boringcrypto"
	fi
else
	skipped="no C compiler here: the race detector did not run"
fi
say "without"
skips=yes
suite "$@" || failed="$failed tests"

[ -z "$skipped" ] || echo "  $skipped"
if [ -n "$failed" ]; then
	say "FAILED:$failed"
	exit 1
fi
