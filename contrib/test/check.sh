#!/bin/bash
# What "make check" runs: format, vet, staticcheck, the other systems that we build for, unit tests. It takes less than a
# minute when the build cache is warm, so that it can run before every commit.
#
#	contrib/test/check.sh [-code] [PACKAGE...]
#
# With -code no test runs: "make test" runs them all afterwards.
#
# Unit tests are what "go test -short" runs: tests that start a real server or the program itself skip with -short.
# Tools come from contrib/tools/go.mod, which pins their versions apart from those of the daemon's libraries.
set -euo pipefail
cd "$(dirname "$0")/../.."

# What we promise to build for. contrib holds programs that drive Linux MTAs, and is built for this host alone.
SYSTEMS="freebsd/amd64 openbsd/amd64 darwin/arm64 linux/arm64"
PROGRAMS="./cmd/... ./config/... ./keys/... ./milter/..."

tests=yes
if [ "${1:-}" = -code ]; then
	tests=
	shift
fi
[ $# -gt 0 ] || set -- ./...
failed=

# A step prints what is wrong, its name when it failed, and how long it took.
step() { # NAME COMMAND...
	local name=$1 began=$SECONDS
	shift
	if "$@"; then
		echo "check: $name ($((SECONDS - began)) s)"
	else
		echo "check: $name FAILED"
		failed="$failed $name"
	fi
}

formatted() {
	local files
	files=$(gofmt -l cmd config contrib keys milter)
	[ -z "$files" ] || { echo "not formatted:" $files; return 1; }
}

scripts() {
	local script
	for script in contrib/*.sh contrib/test/*.sh contrib/packages/*.sh .ci/run; do
		bash -n "$script" || return 1
	done
	! command -v shellcheck >/dev/null || shellcheck -S warning contrib/*.sh contrib/test/*.sh contrib/packages/*.sh contrib/qmail/* .ci/run
}

# What the packages are made of is there, and nothing is packed twice. Making them takes minutes (make test-packages).
contents() {
	local list source bad=
	for list in contrib/packages/*.yaml; do
		for source in $(grep -o '{src: [^",]*' "$list" | cut -d' ' -f2); do
			[ -e "$source" ] || bad="$bad $list: there is no $source;"
		done
		for source in $(grep -o 'dst: [^,]*' "$list" | sort | uniq -d | cut -d' ' -f2); do
			bad="$bad $list: $source is there twice;"
		done
	done
	[ -z "$bad" ] || { echo "$bad"; return 1; }
}

# Packages are compiled, not linked.
system() { # GOOS/GOARCH
	CGO_ENABLED=0 GOOS=${1%/*} GOARCH=${1#*/} go build $PROGRAMS
}

step gofmt formatted
step scripts scripts
step "contents of the packages" contents
step vet go vet "$@"
step staticcheck go tool -modfile=contrib/tools/go.mod staticcheck "$@"
for name in $SYSTEMS; do
	step "$name" system "$name"
done
[ -z "$tests" ] || step "unit tests" go test -short -timeout 5m "$@"

if [ -n "$failed" ]; then
	echo "check: FAILED:$failed"
	exit 1
fi
