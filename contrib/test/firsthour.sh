#!/bin/bash
# The first hour of a new user: contrib/test/firsthour.sh [MTA...], as root, where debootstrap and systemd-nspawn are.
#
# For Postfix and for Sendmail a fresh Debian 12 that systemd boots, with no network but loopback. In it the commands of
# README.md are given: from nothing to a signed and a judged mail in at most six steps, once with "mailseal setup --apply"
# and once with the mail server's lines put by hand. See firsthour-inside.sh. With WAYS=reports the units of DMARC reports
# are tried instead, see reports-inside.sh. Prints a line for each check and the time
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

. contrib/test/machines.sh

# trial MTA WAY: boots a machine, and gives the commands in it.
trial() {
	local root inside=firsthour-inside.sh
	[ "$2" != reports ] || inside=reports-inside.sh
	root=$(copy "$1")
	mkdir -p "$root/root/mailseal/bin"
	cp -r contrib Makefile "$root/root/mailseal/"
	cp "$bin" "$root/root/mailseal/bin/mailseal"
	cp "$helper/zone" "$root/root/zone-server"
	boot "$root" 5 "/root/mailseal/contrib/test/$inside $1 $2" || status=1
}

debian
machine postfix postfix
machine sendmail sendmail-bin sendmail
for mta in ${*:-postfix sendmail}; do
	for way in ${WAYS:-setup hand}; do trial "$mta" "$way"; done
done
exit $status
