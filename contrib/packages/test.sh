#!/bin/bash
# Tries the packages out: contrib/packages/test.sh, as root on a Debian that may install debootstrap, lintian and rpm.
#
# Two versions are built, the second twice: the same to the bit. In a fresh Debian without anything else they are
# installed, sign and judge a message, are upgraded, changed for the OpenSSL build and back, downgraded, removed and
# purged; what an administrator has written and made stays. The .rpm go through the same under Debian's rpm in a root of its
# own, where the dependencies on RHEL's names are left out. The container is unpacked and run as its user. The source tarball
# builds and is tested without git. Two machines that systemd boots, with Postfix and with Sendmail, upgrade under mail
# (machine.sh). Prints a line for each check; exit status 1 if one fails.
set -euo pipefail
cd "$(dirname "$0")/../.."

say() { echo "packages: $*"; }
failed=0
passed=0
check() { # WHAT COMMAND...
	local what=$1
	shift
	if "$@" >"$work/check.log" 2>&1; then
		passed=$((passed + 1))
		say "ok: $what"
	else
		failed=$((failed + 1))
		say "FAILED: $what"
		sed 's/^/    /' "$work/check.log"
	fi
}

need() { # COMMAND PACKAGE
	command -v "$1" >/dev/null || apt-get -qq install -y --no-install-recommends $2 >/dev/null
}
need debootstrap debootstrap
need lintian lintian
need rpm rpm
need rpm2cpio rpm2cpio
need cpio cpio
need buildah buildah
need systemd-nspawn systemd-container
need apparmor_parser apparmor
need qemu-aarch64-static qemu-user-static
need aarch64-linux-gnu-gcc "gcc-aarch64-linux-gnu libc6-dev-arm64-cross"

. contrib/test/machines.sh
work=$(mktemp -d)
root=.root/debian
rpmroot=.root/rpm
trap 'umount -l "$root/proc" "$rpmroot/proc" 2>/dev/null || true; rm -rf "$work"' EXIT
arch=$(go env GOHOSTARCH)

for build in old again new; do
	version=0.2.0
	[ $build != old ] || version=0.1.9
	say "building $version ($build)"
	contrib/packages/build.sh $version "$work/$build" "$arch" >"$work/build.log" || { cat "$work/build.log"; exit 1; }
done
check "two builds are the same to the bit" diff "$work/new/SHA256SUMS" "$work/again/SHA256SUMS"
check "lintian finds no error" lintian --fail-on error --allow-root --suppress-tags initial-upload-closes-no-bugs "$work"/new/*.deb
check "AppArmor takes the profiles" apparmor_parser --skip-kernel-load --skip-cache contrib/packages/apparmor
cat "$work/new/SHA256SUMS"
say "sizes: $(cd "$work/new" && stat -c '%n %s' ./*.deb ./*.rpm | tr '\n' ' ')"

# A Debian of its own, made once.
debian
mount -t proc proc "$root/proc"
within() { # ROOT COMMAND...
	local dir=$1
	shift
	chroot "$dir" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"
}
inside() { within "$root" "$@"; }
for old in mailseal mailseal-openssl mailseal-common; do MAILSEAL_PURGE_KEYS=yes inside dpkg --purge "$old" >/dev/null 2>&1 || true; done
rm -rf "$root/var/lib/mailseal"
mkdir -p "$root/packages"
rm -rf "$root/packages"/*
cp -r "$work/old" "$work/new" "$root/packages/"

check "install" inside sh -c 'dpkg -i /packages/old/mailseal-common_*.deb /packages/old/mailseal_*.deb'
check "the link leads to the static build" inside sh -c '[ "$(readlink -f /usr/sbin/mailseal)" = /usr/lib/mailseal/mailseal ]'
check "the version" inside sh -c 'mailseal version | grep -q "mailseal 0.1.9"'
check "what it is made of" inside sh -c 'grep -q "pkg:golang/github.com/miekg/dns" /usr/share/doc/mailseal/mailseal.cdx.json'
check "user and directories" inside sh -c '[ "$(stat -c %U:%a /var/lib/mailseal)" = mailseal:700 ] && [ "$(stat -c %G:%a /etc/mailseal/mailseal.toml)" = mailseal:640 ]'
check "the user and the spool of reports" inside sh -c '[ "$(stat -c %U:%G:%a /var/lib/mailseal-reports/spool)" = mailseal-reports:mailseal-reports:2770 ]'
check "the unit of reports is there" inside grep -q "reports serve" /usr/lib/systemd/system/mailseal-reports.service
check "the units are enabled" inside sh -c 'ls /etc/systemd/system/*.wants | grep -q mailseal.socket && ls /etc/systemd/system/*.wants | grep -q mailseal.service'
check "the service's user reads the configuration" inside sh -c 'setpriv --reuid mailseal --regid mailseal --init-groups mailseal check --no-mta'
check "a message is signed and judged" inside sh -c 'cd /tmp && rm -rf demo && mailseal demo --dir demo'
check "a key of the service" inside sh -c 'setpriv --reuid mailseal --regid mailseal --init-groups mailseal keygen --domain example.com --selector t --dir /var/lib/mailseal/keys/example.com'
inside sh -c 'printf "\n# written by the administrator\n" >>/etc/mailseal/mailseal.toml'
check "upgrade" inside sh -c 'dpkg -i --force-confold /packages/new/mailseal-common_*.deb /packages/new/mailseal_*.deb'
check "the new version" inside sh -c 'mailseal version | grep -q "mailseal 0.2.0"'
check "the configuration is the administrator's" inside grep -q "written by the administrator" /etc/mailseal/mailseal.toml
check "the OpenSSL build takes over" inside sh -c 'dpkg -i /packages/new/mailseal-openssl_*.deb && mailseal version | grep -q "RSA signatures: OpenSSL 3"'
check "its symbols are those of RHEL 9" inside sh -c '! grep -a -o "GLIBC_2\.[0-9]*" /usr/lib/mailseal/mailseal-openssl | sort -Vu | tail -1 | grep -vE "GLIBC_2\.([0-9]|[12][0-9]|3[0-4])$"'
check "and gives way again" inside sh -c 'dpkg --purge mailseal-openssl && mailseal version | grep -q "RSA signatures: Go"'
check "purging one leaves configuration and keys" inside sh -c 'test -e /etc/mailseal/mailseal.toml && ls /var/lib/mailseal/keys/example.com/*'
check "downgrade" inside sh -c 'dpkg -i --force-confold --force-downgrade /packages/old/mailseal-common_*.deb /packages/old/mailseal_*.deb && mailseal version | grep -q "mailseal 0.1.9"'
check "remove" inside sh -c 'dpkg --remove mailseal mailseal-common && test ! -e /usr/sbin/mailseal && test -e /etc/mailseal/mailseal.toml'
check "purge" inside sh -c 'dpkg --purge mailseal mailseal-common && test ! -e /etc/mailseal/mailseal.toml'
check "the keys stay" inside sh -c 'ls /var/lib/mailseal/keys/example.com/*'

# The .rpm, under an rpm without RHEL's packages.
if [ ! -e "$rpmroot/usr/bin/rpm" ]; then
	say "making a root with rpm under $rpmroot"
	rm -rf "$rpmroot"
	cp -ax "$root" "$rpmroot"
	rm -rf "$rpmroot/packages"
	cp /etc/resolv.conf "$rpmroot/etc/"
	cp -r /etc/apt/apt.conf.d /etc/apt/sources.list* "$rpmroot/etc/apt/"
	within "$rpmroot" sh -c 'apt-get -qq update && apt-get -qq install -y --no-install-recommends rpm' >"$work/rpm.log" 2>&1 ||
		{ tail -5 "$work/rpm.log"; exit 1; }
fi
mount -t proc proc "$rpmroot/proc"
rpms() { within "$rpmroot" "$@"; }
rpms rpm -e --nodeps mailseal mailseal-openssl mailseal-common >/dev/null 2>&1 || true
rm -rf "$rpmroot/packages" "$rpmroot/var/lib/mailseal" "$rpmroot/etc/mailseal"
mkdir -p "$rpmroot/packages"
cp -r "$work/old" "$work/new" "$rpmroot/packages/"
for rpm in "$work"/new/*.rpm; do
	check "${rpm##*/} has scripts that are sound" sh -c "rpm -qp --scripts '$rpm' | grep -v '^[a-z]* scriptlet' | sh -n"
done
check "rpm: install" rpms sh -c 'rpm -i --nodeps /packages/old/mailseal-common-0*.rpm /packages/old/mailseal-0*.rpm'
check "rpm: its scripts have run" rpms sh -c 'mailseal version | grep -q "mailseal 0.1.9" && [ "$(stat -c %U:%a /var/lib/mailseal)" = mailseal:700 ] && id mailseal'
check "rpm: its files are as packed" rpms sh -c 'rpm -V --nodeps --nogroup --nomode mailseal mailseal-common'
check "rpm: a key of the service" rpms sh -c 'setpriv --reuid mailseal --regid mailseal --init-groups mailseal keygen --domain example.com --selector t --dir /var/lib/mailseal/keys/example.com'
rpms sh -c 'printf "\n# written by the administrator\n" >>/etc/mailseal/mailseal.toml'
check "rpm: upgrade" rpms sh -c 'rpm -U --nodeps /packages/new/mailseal-common-0*.rpm /packages/new/mailseal-0*.rpm && mailseal version | grep -q "mailseal 0.2.0"'
check "rpm: the configuration is the administrator's" rpms grep -q "written by the administrator" /etc/mailseal/mailseal.toml
check "rpm: the OpenSSL build takes over" rpms sh -c 'rpm -i --nodeps /packages/new/mailseal-openssl-0*.rpm && mailseal version | grep -q "RSA signatures: OpenSSL 3"'
check "rpm: and gives way again" rpms sh -c 'rpm -e --nodeps mailseal-openssl && mailseal version | grep -q "RSA signatures: Go"'
check "rpm: downgrade" rpms sh -c 'rpm -U --oldpackage --nodeps /packages/old/mailseal-common-0*.rpm /packages/old/mailseal-0*.rpm && mailseal version | grep -q "mailseal 0.1.9"'
check "rpm: remove" rpms sh -c 'rpm -e --nodeps mailseal mailseal-common && ! [ -e /usr/sbin/mailseal ]'
check "rpm: the configuration and the keys stay" rpms sh -c 'ls /etc/mailseal/mailseal.toml.rpmsave /var/lib/mailseal/keys/example.com/t.pem'

# The other architecture, by an emulator: what is in its packages runs, with arm64's own OpenSSL.
foreign() {
	local other=arm64 dir=$work/foreign
	local apt="-o Dir::State=$dir/state -o Dir::Cache=$dir/cache -o APT::Architecture=$other -o APT::Architectures=$other"
	contrib/packages/build.sh 0.2.0 "$work/$other" $other
	mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial" "$dir/root" "$dir/debs"
	touch "$dir/status"
	apt-get -qq $apt -o Dir::State::status="$dir/status" update
	(cd "$dir/debs" && apt-get -qq $apt -o Dir::State::status="$dir/status" download libc6 libssl3)
	for deb in "$dir"/debs/*.deb "$work/$other"/*_$other.deb; do dpkg -x "$deb" "$dir/root"; done
}
emulated() { QEMU_LD_PREFIX=$work/foreign/root LD_LIBRARY_PATH= qemu-aarch64-static "$work/foreign/root/usr/lib/mailseal/$1" "${@:2}"; }
signed_by() { # PROGRAM LINE
	emulated "$1" version | grep -q "$2" && emulated "$1" demo --dir "$work/demo-$1" | tee "$work/demo.log" && grep -q "dkim=pass" "$work/demo.log"
}
if [ "$arch" = amd64 ]; then
	check "arm64: packages" foreign
	check "arm64: the static build signs and judges" signed_by mailseal "RSA signatures: Go"
	check "arm64: the OpenSSL build does" signed_by mailseal-openssl "RSA signatures: OpenSSL 3"
fi

# The container, from its layers: no runtime of containers is needed.
check "the container is built" contrib/packages/container.sh 0.2.0 "$work/container"
if command -v podman >/dev/null; then
	check "container: podman loads it under the name in README.md" sh -c "podman load -i '$work/container/mailseal-container.tar' && podman image exists mailseal:0.2.0"
fi
box=$work/box
mkdir -p "$box" "$work/layers"
tar -xf "$work/container/mailseal-container.tar" -C "$work/layers"
for layer in $(tr '"' '\n' <"$work/layers/manifest.json" | grep '\.tar$'); do tar -xpf "$work/layers/$layer" -C "$box"; done
boxed() { chroot --userspec=65532:65532 "$box" "$@"; }
check "container: the version" sh -c "chroot --userspec=65532:65532 '$box' /usr/sbin/mailseal version | grep -q 'mailseal 0.2.0 plain static'"
check "container: it has nothing but itself" sh -c "[ \"\$(cd '$box' && find . -type f | sort | tr '\n' ' ')\" = './etc/mailseal/mailseal.toml ./etc/ssl/certs/ca-certificates.crt ./usr/sbin/mailseal ' ]"
check "container: a message is signed and judged" boxed /usr/sbin/mailseal demo --dir /tmp/demo
check "container: a key" boxed /usr/sbin/mailseal keygen --domain example.com --selector t --dir /var/lib/mailseal/keys/example.com
sed -i -e "s/inet:8891@0.0.0.0/unix:\/run\/mailseal\/mailseal.sock/" -e '1i authserv_id = "mx.example.com"\ndomain = "example.com"\nselector = "t"\nkey_file = "/var/lib/mailseal/keys/example.com/t.pem"' \
	"$box/etc/mailseal/mailseal.toml"
served() {
	boxed /usr/sbin/mailseal serve &
	local daemon=$! result=1
	for _ in $(seq 100); do
		[ -S "$box/run/mailseal/mailseal.sock" ] && break
		sleep 0.1
	done
	printf 'From: a@example.com\nSubject: x\n\ntext\n' >"$box/tmp/letter"
	boxed /usr/sbin/mailseal mta --milter unix:/run/mailseal/mailseal.sock --deliver /tmp/letter | grep '^DKIM-Signature' &&
		boxed /usr/sbin/mailseal status --no-check && result=0
	kill $daemon
	wait $daemon || true
	return $result
}
check "container: it signs over a socket in a volume, and is healthy" served

# The sources as one file.
make -s dist
mkdir "$work/dist"
tar -xzf var/dist/mailseal-*.tar.gz -C "$work/dist"
sources=$(echo "$work"/dist/mailseal-*)
check "the source tarball builds without git" env GIT_DIR=/nonexistent make -s -C "$sources" build
check "with the right version" sh -c "'$sources/bin/mailseal' version | grep -q 'mailseal $(make -s -f - show <<<$'include Makefile\nshow:\n\t@echo $(VERSION)') '"
check "and is tested without git" sh -c "cd '$sources' && GIT_DIR=/nonexistent go test -short ./cmd/mailseal ./config ./keys/... ./milter/dkim"

# Upgrades under mail.
if contrib/packages/machine.sh "$work/old" "$work/new" >"$work/machines.log" 2>&1; then
	passed=$((passed + $(grep -c ': ok: ' "$work/machines.log")))
else
	failed=$((failed + 1))
fi
cat "$work/machines.log"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
