#!/bin/bash
# Tries the packages in two Debians that systemd boots, one with Postfix and one with Sendmail:
# contrib/packages/machine.sh OLD NEW, the directories with two versions. They are containers of systemd-nspawn with no
# network but loopback. It takes root. See trial.sh for what happens inside.
set -euo pipefail
cd "$(dirname "$0")/../.."
old=$1
new=$2
base=.root/debian # test.sh makes it
status=0

# machine MTA: makes a Debian with it, once.
machine() {
	local root=.root/machine-$1
	[ ! -e "$root" ] || return 0
	rm -rf "$root.new"
	cp -ax "$base" "$root.new"
	rm -rf "$root.new/packages"
	cp /etc/resolv.conf "$root.new/etc/" || true
	cp -r /etc/apt/apt.conf.d /etc/apt/sources.list* "$root.new/etc/apt/"
	printf '#!/bin/sh\nexit 101\n' >"$root.new/usr/sbin/policy-rc.d" # nothing starts while it is made
	chmod +x "$root.new/usr/sbin/policy-rc.d"
	mount -t proc proc "$root.new/proc"
	chroot "$root.new" env DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -ec \
		"apt-get -qq update; apt-get -qq install -y --no-install-recommends systemd-sysv dbus iproute2 $2" >"$root.log" 2>&1 || {
		umount "$root.new/proc"
		tail -n 5 "$root.log"
		return 1
	}
	umount "$root.new/proc"
	rm "$root.new/usr/sbin/policy-rc.d"
	mv "$root.new" "$root"
}

# boot MTA: boots a copy of it, which a trial may spoil.
boot() {
	local root
	root=$(mktemp -d .root/run-trial-XXXXXX)
	cp -ax ".root/machine-$1/." "$root/"
	rm -rf "$root/var/lib/mailseal"
	mkdir "$root/packages"
	cp -r "$old" "$root/packages/old"
	cp -r "$new" "$root/packages/new"
	cp contrib/packages/trial.sh "$root/root/trial.sh"
	cat >"$root/etc/systemd/system/trial.service" <<-END
		[Unit]
		After=multi-user.target
		[Service]
		Type=oneshot
		TimeoutStartSec=10min
		ExecStart=/bin/bash /root/trial.sh $1
		ExecStopPost=/bin/systemctl --force poweroff
		StandardOutput=file:/root/trial.out
		StandardError=file:/root/trial.err
	END
	mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
	ln -s /etc/systemd/system/trial.service "$root/etc/systemd/system/multi-user.target.wants/"
	timeout -s KILL 900 systemd-nspawn --quiet --register=no --keep-unit --private-network --boot --directory "$root" \
		--machine "mailseal-trial-$1" --console=pipe </dev/null >"$root/console.log" 2>&1 || true
	cat "$root/root/trial.out" || tail -n 5 "$root/console.log"
	grep -q '^[0-9]* passed, 0 failed$' "$root/root/trial.out" || {
		status=1
		tail -n 20 "$root/root/trial.err"
	}
	[ -n "${KEEP:-}" ] || rm -rf "$root"
}

machine postfix postfix
machine sendmail "sendmail-bin sendmail"
for mta in ${MTA:-postfix sendmail}; do boot "$mta"; done
exit $status
