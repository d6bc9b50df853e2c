#!/bin/bash
# Builds the packages: contrib/packages/build.sh VERSION OUT [ARCHITECTURE...]
#
#	mailseal-common      units, configuration, manual, completions, samples: for every architecture
#	mailseal             the static build
#	mailseal-openssl     RSA signatures by the host's OpenSSL; needs cgo, so only where there is a compiler for it
#
# each as .deb and .rpm. Built twice from the same sources they are the same to the bit: every date in them is
# SOURCE_DATE_EPOCH, by default that of the last commit, else of CHANGELOG.md.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=$1
out=$(mkdir -p "$2" && cd "$2" && pwd)
shift 2
[ $# -gt 0 ] || set -- amd64 arm64
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
# A version of Debian's and of rpm's: what comes after the release number is a build of it.
export VERSION=${version#v}
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
export STAGE=$stage

say() { echo "packages: $*"; }

nfpm() { # CONFIGURATION
	for packager in deb rpm; do
		go tool -modfile=contrib/tools/go.mod nfpm package --packager "$packager" --config "$1" --target "$out/" >"$stage/nfpm.log" || {
			cat "$stage/nfpm.log"
			say "$1 does not make a .$packager"
			exit 1
		} >&2
	done
}

build() { # ARCHITECTURE NAME [FLAG...]: a program in the stage
	local arch=$1 name=$2
	shift 2
	GOOS=linux GOARCH=$arch go build -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.release=$version" "$@" \
		-o "$stage/$name" ./cmd/mailseal
}

# What all architectures share. The completions are made by a program that runs here.
common() {
	GOARCH=$(go env GOHOSTARCH) CGO_ENABLED=0 build "$(go env GOHOSTARCH)" here
	for shell in bash zsh fish; do "$stage/here" completion $shell >"$stage/completion.$shell"; done
	for page in contrib/man/*.[1-9]; do gzip -9n <"$page" >"$stage/${page##*/}.gz"; done
	gzip -9n <CHANGELOG.md >"$stage/changelog.gz"
	{
		echo "mailseal ($VERSION-1) unstable; urgency=medium"
		echo
		echo "  * See changelog.gz for what changed."
		echo
		echo " -- The Mailseal developers <maintainers@mailseal.invalid>  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")"
	} | gzip -9n >"$stage/changelog.Debian.gz"
	configuration >"$stage/mailseal.toml"
	ARCH=all nfpm contrib/packages/mailseal-common.yaml
}

# The sample, which listens on the socket that systemd holds (mailseal.socket).
configuration() {
	local own='^address = "inet:8891@127.0.0.1"$'
	grep -q "$own" contrib/mailseal.toml
	sed -e "/$own/{r contrib/packages/listen.toml" -e 'd}' contrib/mailseal.toml
}

# What a build is made of: its modules with their versions and licenses, in the form of CycloneDX.
sbom() { # NAME of the program in the stage
	go tool -modfile=contrib/tools/go.mod cyclonedx-gomod bin -json -noserial -std -licenses -version "$VERSION" \
		-output "$stage/$1.cdx.json" "$stage/$1" 2>"$stage/sbom.log" || { cat "$stage/sbom.log"; exit 1; }
	sed -i "s/\"timestamp\": \"[^\"]*\"/\"timestamp\": \"$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)\"/" "$stage/$1.cdx.json"
}

compiler() { # ARCHITECTURE: a C compiler for it, if there is one
	case $1 in
	"$(go env GOHOSTARCH)") command -v gcc ;;
	arm64) command -v aarch64-linux-gnu-gcc ;;
	amd64) command -v x86_64-linux-gnu-gcc ;;
	esac
}

common
for arch; do
	export ARCH=$arch
	CGO_ENABLED=0 build "$arch" mailseal
	sbom mailseal
	nfpm contrib/packages/mailseal.yaml
	if cc=$(compiler "$arch"); then
		CGO_ENABLED=1 CC=$cc build "$arch" mailseal-openssl -buildmode=pie -tags openssl
		sbom mailseal-openssl
		nfpm contrib/packages/mailseal-openssl.yaml
	else
		say "no mailseal-openssl for $arch: there is no C compiler for it here (Debian: gcc-aarch64-linux-gnu)"
	fi
done
(cd "$out" && sha256sum ./*.deb ./*.rpm >SHA256SUMS && cat SHA256SUMS)
