#!/bin/bash
# Tries the packages in two Debians that systemd boots, one with Postfix and one with Sendmail:
# contrib/packages/machine.sh OLD NEW, the directories with two versions. They are containers of systemd-nspawn with no
# network but loopback. It takes root. See trial.sh for what happens inside.
set -euo pipefail
cd "$(dirname "$0")/../.."
old=$1
new=$2
. contrib/test/machines.sh
status=0

# upgrade MTA: boots a machine with it in which both versions are.
upgrade() {
	local root
	root=$(copy "$1")
	mkdir "$root/packages"
	cp -r "$old" "$root/packages/old"
	cp -r "$new" "$root/packages/new"
	cp contrib/packages/trial.sh README.md "$root/root/"
	boot "$root" 10 "/root/trial.sh $1" || status=1
}

debian
machine postfix postfix
machine sendmail sendmail-bin sendmail
for mta in ${MTA:-postfix sendmail}; do upgrade "$mta"; done
exit $status
