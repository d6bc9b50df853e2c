#!/bin/bash
# Tries the packages out: contrib/packages/test.sh, as root on a Debian that may install debootstrap, lintian and rpm.
#
# Two versions are built, the second twice: the same to the bit. In a fresh Debian without anything else they are
# installed, sign and judge a message, are upgraded, changed for the OpenSSL build and back, downgraded, removed and
# purged; what an administrator has written and made stays. The .rpm are unpacked and their scripts read. Prints a line for
# each check; exit status 1 if one fails.
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
	command -v "$1" >/dev/null || apt-get -qq install -y --no-install-recommends "$2" >/dev/null
}
need debootstrap debootstrap
need lintian lintian
need rpm rpm
need rpm2cpio rpm2cpio
need cpio cpio

work=$(mktemp -d)
root=.root/debian
trap 'umount -l "$root/proc" 2>/dev/null || true; rm -rf "$work"' EXIT
arch=$(go env GOHOSTARCH)

contrib/packages/build.sh 0.1.9 "$work/old" "$arch" >/dev/null
contrib/packages/build.sh 0.2.0 "$work/new" "$arch" >/dev/null
contrib/packages/build.sh 0.2.0 "$work/again" "$arch" >/dev/null
check "two builds are the same to the bit" diff "$work/new/SHA256SUMS" "$work/again/SHA256SUMS"
check "lintian finds no error" lintian --fail-on error --allow-root --suppress-tags initial-upload-closes-no-bugs "$work"/new/*.deb
say "sizes: $(cd "$work/new" && stat -c '%n %s' ./*.deb ./*.rpm | tr '\n' ' ')"

# A Debian of its own, made once.
if [ ! -e "$root/etc/debian_version" ]; then
	say "making a Debian under $root"
	rm -rf "$root"
	debootstrap --variant=minbase --include=init-system-helpers,systemd,libssl3 bookworm "$root" >"$work/debootstrap.log" 2>&1 ||
		{ tail -5 "$work/debootstrap.log"; exit 1; }
fi
mount -t proc proc "$root/proc"
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"; }
fails() { ! "$@"; }
for old in mailseal mailseal-openssl mailseal-common; do MAILSEAL_PURGE_KEYS=yes inside dpkg --purge "$old" >/dev/null 2>&1 || true; done
rm -rf "$root/var/lib/mailseal"
mkdir -p "$root/packages"
rm -rf "$root/packages"/*
cp -r "$work/old" "$work/new" "$root/packages/"

check "install" inside sh -c 'dpkg -i /packages/old/mailseal-common_*.deb /packages/old/mailseal_*.deb'
check "the link leads to the static build" inside sh -c '[ "$(readlink -f /usr/sbin/mailseal)" = /usr/lib/mailseal/mailseal ]'
check "the version" inside sh -c 'mailseal version | grep -q "mailseal 0.1.9"'
check "user and directories" inside sh -c '[ "$(stat -c %U:%a /var/lib/mailseal)" = mailseal:700 ] && [ "$(stat -c %G:%a /etc/mailseal/mailseal.toml)" = mailseal:640 ]'
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

# rpm: unpacked, with what it would run. No rpm system is at hand to run its scripts in.
for rpm in "$work"/new/*.rpm; do
	name=${rpm##*/}
	check "$name holds its files" sh -c "rpm -qlp '$rpm' | grep -q mailseal"
	check "$name has scripts that are sound" sh -c "rpm -qp --scripts '$rpm' | grep -v '^[a-z]* scriptlet' | sh -n"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
