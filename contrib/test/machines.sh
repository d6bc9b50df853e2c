# Debians that systemd boots, for trials in them: sourced by contrib/packages/machine.sh and contrib/test/firsthour.sh,
# from the top of the sources. They are containers of systemd-nspawn with no network but loopback, and take root.

# debian: makes a Debian under .root/debian, once.
debian() {
	[ ! -e .root/debian/etc/debian_version ] || return 0
	mkdir -p .root
	rm -rf .root/debian
	debootstrap --variant=minbase --include=init-system-helpers,systemd,libssl3 bookworm .root/debian >.root/debian.log 2>&1 ||
		{ tail -n 5 .root/debian.log; return 1; }
}

# machine MTA PACKAGE...: makes a Debian with a mail server, once.
machine() {
	local root=.root/machine-$1
	shift
	[ ! -e "$root" ] || return 0
	rm -rf "$root.new"
	cp -ax .root/debian "$root.new"
	rm -rf "$root.new/packages"
	cp /etc/resolv.conf "$root.new/etc/" || true
	cp -r /etc/apt/apt.conf.d /etc/apt/sources.list* "$root.new/etc/apt/"
	printf '#!/bin/sh\nexit 101\n' >"$root.new/usr/sbin/policy-rc.d" # nothing starts while it is made
	chmod +x "$root.new/usr/sbin/policy-rc.d"
	mount -t proc proc "$root.new/proc"
	chroot "$root.new" env DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -ec \
		"apt-get -qq update; apt-get -qq install -y --no-install-recommends systemd-sysv dbus iproute2 $*" >"$root.log" 2>&1 || {
		umount "$root.new/proc"
		tail -n 5 "$root.log"
		return 1
	}
	umount "$root.new/proc"
	rm "$root.new/usr/sbin/policy-rc.d"
	mv "$root.new" "$root"
}

# copy MTA: prints the root of a copy of its machine, which a trial may spoil.
copy() {
	local root
	root=$(mktemp -d .root/run-machine-XXXXXX)
	chmod 755 "$root"
	cp -ax ".root/machine-$1/." "$root/"
	rm -rf "$root/var/lib/mailseal"
	cp contrib/test/inside.sh "$root/root/"
	echo "$root"
}

# boot ROOT MINUTES COMMAND: boots it, gives the command in it, prints what that says, and removes the copy. Succeeds if
# the last line is of no failed check.
boot() {
	local root=$1 good=yes
	cat >"$root/etc/systemd/system/trial.service" <<-END
		[Unit]
		After=multi-user.target
		[Service]
		Type=oneshot
		TimeoutStartSec=$2min
		ExecStart=/bin/bash $3
		ExecStopPost=/bin/systemctl --force poweroff
		StandardOutput=file:/root/trial.out
		StandardError=file:/root/trial.err
	END
	mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
	ln -s /etc/systemd/system/trial.service "$root/etc/systemd/system/multi-user.target.wants/"
	timeout -s KILL $(($2 * 90)) systemd-nspawn --quiet --register=no --keep-unit --private-network --boot --directory "$root" \
		--machine "mailseal-${root##*-}" --console=pipe </dev/null >"$root/console.log" 2>&1 || true
	cat "$root/root/trial.out" || tail -n 5 "$root/console.log"
	grep -q '^[0-9]* passed, 0 failed$' "$root/root/trial.out" || {
		good=
		tail -n 40 "$root/root/trial.err"
	}
	[ -n "${KEEP:-}" ] || rm -rf "$root"
	[ -n "$good" ]
}
