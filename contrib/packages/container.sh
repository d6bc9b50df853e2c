#!/bin/sh
# Builds the container: contrib/packages/container.sh VERSION OUT, with buildah, podman or docker. In OUT are afterwards
# the files that went into it (root), and mailseal-container.tar for "podman load" where buildah or podman built it.
set -eu
cd "$(dirname "$0")/../.."
version=$1
out=$2
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}

root=$out/root
rm -rf "$root" "$out/mailseal-container.tar"
mkdir -p "$root/etc/mailseal" "$root/etc/ssl/certs" "$root/usr/sbin" "$root/var/lib/mailseal/keys" "$root/run/mailseal" "$root/tmp"
CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.release=$version" \
	-o "$root/usr/sbin/mailseal" ./cmd/mailseal
# Mail servers reach it over the container network, which no host but theirs should be in.
sed "s/^address = \"inet:8891@127.0.0.1\"/address = \"inet:8891@0.0.0.0\"/" contrib/mailseal.toml >"$root/etc/mailseal/mailseal.toml"
grep -q "^address = \"inet:8891@0.0.0.0\"" "$root/etc/mailseal/mailseal.toml"
# Key sources and databases are asked over TLS.
for bundle in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt; do
	if [ -e "$bundle" ]; then
		cp -L "$bundle" "$root/etc/ssl/certs/ca-certificates.crt"
		break
	fi
done
chmod 0700 "$root/var/lib/mailseal" "$root/var/lib/mailseal/keys"
chmod 0755 "$root/usr/sbin/mailseal" "$root/run/mailseal"
cp contrib/packages/Containerfile "$out/Containerfile"

tag=mailseal:$version
if command -v buildah >/dev/null; then
	buildah build --format docker --isolation chroot --timestamp "$epoch" -t "$tag" "$out" >&2
	buildah push "$tag" "docker-archive:$out/mailseal-container.tar:$tag" >&2
elif command -v podman >/dev/null; then
	podman build --format docker --timestamp "$epoch" -t "$tag" "$out" >&2
	podman save -o "$out/mailseal-container.tar" "$tag" >&2
elif command -v docker >/dev/null; then
	docker build -f "$out/Containerfile" -t "$tag" "$out" >&2
else
	echo "container: no buildah, podman or docker here; the files are in $root" >&2
	exit 1
fi
echo "container: $tag"
