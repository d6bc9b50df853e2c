#!/bin/bash
# Runs every fuzz target in turn: contrib/test/fuzz.sh TIME [PACKAGE...]
set -euo pipefail
cd "$(dirname "$0")/../.."
time=$1
shift
[ $# -gt 0 ] || set -- ./...
for package in $(go list "$@"); do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "fuzz: $package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package"
	done
done
