#!/bin/bash
# The first hour of a new user: contrib/test/firsthour.sh [MTA...], as root, where debootstrap and systemd-nspawn are.
#
# For Postfix and for Sendmail a fresh Debian 12 that systemd boots, with no network but loopback. In it the commands of
# README.md are given: from nothing to a signed and a judged mail in at most six steps, once with "mailseal setup --apply"
# and once with the mail server's lines put by hand. See firsthour-inside.sh. Prints a line for each check and the time
# from nothing to a signed mail; exit status 1 if one fails, 77 where this host cannot boot a container.
set -euo pipefail
cd "$(dirname "$0")/../.."
status=0
for tool in debootstrap systemd-nspawn; do
	command -v "$tool" >/dev/null || { echo "firsthour: there is no $tool"; exit 77; }
done
[ "$(id -u)" = 0 ] || { echo "firsthour: it takes root"; exit 77; }
bin=${MAILSEAL_BIN:-bin/mailseal}
[ -x "$bin" ] || { echo "firsthour: there is no $bin; run make build"; exit 77; }

helper=$(mktemp -d)
trap 'rm -rf "$helper"' EXIT
CGO_ENABLED=0 go build -o "$helper/zone" ./contrib/test/zone

# base makes a Debian, once; machine makes one with a mail server, once. The packages' tests use the same ones.
base() {
	[ -e .root/debian/etc/debian_version ] && return
	debootstrap --variant=minbase --include=init-system-helpers,systemd,libssl3 bookworm .root/debian >.root/debian.log 2>&1
}
machine() {
	local root=.root/machine-$1
	[ ! -e "$root" ] || return 0
	rm -rf "$root.new"
	cp -a .root/debian "$root.new"
	rm -rf "$root.new/packages"
	cp /etc/resolv.conf "$root.new/etc/" || true
	cp -r /etc/apt/apt.conf.d /etc/apt/sources.list* "$root.new/etc/apt/"
	printf '#!/bin/sh\nexit 101\n' >"$root.new/usr/sbin/policy-rc.d" # nothing starts while it is made
	chmod +x "$root.new/usr/sbin/policy-rc.d"
	chroot "$root.new" env DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -ec \
		"apt-get -qq update; apt-get -qq install -y --no-install-recommends systemd-sysv dbus iproute2 $2" >"$root.log" 2>&1
	rm "$root.new/usr/sbin/policy-rc.d"
	mv "$root.new" "$root"
}

# trial MTA WAY: boots a copy, and gives the commands in it.
trial() {
	local root
	root=$(mktemp -d .root/run-machine-XXXXXX)
	chmod 755 "$root"
	cp -a ".root/machine-$1/." "$root/"
	mkdir -p "$root/root/mailseal/bin"
	cp -r contrib Makefile "$root/root/mailseal/"
	cp "$bin" "$root/root/mailseal/bin/mailseal"
	cp "$helper/zone" "$root/root/zone-server"
	cat >"$root/etc/systemd/system/trial.service" <<-END
		[Unit]
		After=multi-user.target
		[Service]
		Type=oneshot
		TimeoutStartSec=5min
		ExecStart=/bin/bash /root/mailseal/contrib/test/firsthour-inside.sh $1 $2
		ExecStopPost=/bin/systemctl --force poweroff
		StandardOutput=file:/root/trial.out
		StandardError=file:/root/trial.err
	END
	mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
	ln -s /etc/systemd/system/trial.service "$root/etc/systemd/system/multi-user.target.wants/"
	timeout -s KILL 400 systemd-nspawn --quiet --register=no --keep-unit --private-network --boot --directory "$root" \
		--machine "mailseal-first-$1" --console=pipe </dev/null >"$root/console.log" 2>&1 || true
	cat "$root/root/trial.out" || tail -n 5 "$root/console.log"
	grep -q '^[0-9]* passed, 0 failed$' "$root/root/trial.out" || {
		status=1
		tail -n 40 "$root/root/trial.err"
	}
	[ -n "${KEEP:-}" ] || rm -rf "$root"
}

mkdir -p .root
base
machine postfix postfix
machine sendmail "sendmail-bin sendmail"
for mta in ${*:-postfix sendmail}; do
	for way in setup hand; do trial "$mta" "$way"; done
done
exit $status
