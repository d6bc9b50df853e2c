#!/bin/bash
# DMARC reports under the units that are shipped: reports-inside.sh MTA, within the container of firsthour.sh. The
# daemon writes the spool, the process of reports, which is another user, reads and deletes it, makes the report of the
# day and hands it to the mail server, which brings it to the daemon to be signed.
set -uo pipefail
mta=$1
export PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
trial="reports, $mta"
. /root/inside.sh

host example.com other.example reports.example.com
printf 'd: alice\ndmarc: alice\n' >>/etc/aliases
if [ "$mta" = postfix ]; then
	postconf -e recipient_delimiter=+ alias_maps=hash:/etc/aliases
	postfix reload >/dev/null 2>&1
else
	cp /etc/aliases /etc/mail/aliases
fi
newaliases

serve_zone <<'END'
_dmarc.other.example. 60 IN TXT "v=DMARC1; p=reject; fo=1; rua=mailto:d@other.example; ruf=mailto:d@other.example"
reports.example.com. 60 IN MX 10 mail.example.com.
END

cd /root/mailseal || exit 1
install_program
domains="example.com reports.example.com"
check "set up" mailseal setup --yes --apply $domains
mailseal setup --yes $domains >/root/records
awk '/^ *zone file:/ { getline; print }' /root/records | sed 's/^ *//' | grep -v '^reports.example.com.*MX' >>/root/zone
check "the keys are published" await mailseal setup --yes --wait 1m $domains
cat >>/etc/mailseal/mailseal.toml <<'END'

[reports]
collect = true
send = true
from = "dmarc@reports.example.com"

[reports.failure]
domains = ["other.example"]
END
check "check says how to make the spool" sh -c '! mailseal check >/root/spool.log && grep -q "systemd-sysusers && systemd-tmpfiles --create" /root/spool.log'
check "the user and the spool are made" sh -c 'systemd-sysusers && systemd-tmpfiles --create'
check "the configuration is good" mailseal check
check "both units start" sh -c 'systemctl enable --now mailseal-reports && systemctl restart mailseal'
check "the sender is set up" mailseal reports check
check "systemd shuts both in" sh -c '[ "$(systemctl show -P PrivateUsers mailseal mailseal-reports | sort -u | xargs)" = yes ]'
pid=$(systemctl show -P MainPID mailseal-reports)
check "it is a user of its own" sh -c "[ \"\$(ps -o user= -p $pid 2>/dev/null || stat -c %U /proc/$pid)\" = mailseal-reports ]"
check "it cannot see the keys" fails nsenter -t "$pid" -m setpriv --reuid mailseal-reports --clear-groups --regid mailseal-reports \
	ls /var/lib/mailseal/keys

spool=/var/lib/mailseal-reports/spool
check "the spool is setgid" test "$(stat -c %U:%G:%a $spool)" = mailseal-reports:mailseal-reports:2770
check "a user writes there" smtp 127.0.0.1 alice@example.com d@other.example wrote
check "a stranger's mail is judged" smtp 198.51.100.1 bob@other.example alice@example.com theirs
check "the daemon writes the spool" await sh -c "ls $spool/*.open 2>/dev/null"
check "for the group to read" sh -c "[ \"\$(stat -c %U:%G:%a $spool/*.open | sort -u)\" = mailseal:mailseal-reports:640 ]"
check "a restart closes the segments" systemctl restart mailseal
check "the process of reports deletes them" await sh -c "! ls $spool/*.seg 2>/dev/null"
check "what was judged is counted" await sh -c 'mailseal reports list | grep "other.example.*open"'
check "root's look leaves the store its owner's" sh -c \
	'! find /var/lib/mailseal-reports -maxdepth 1 -name "reports.db*" ! -user mailseal-reports | grep .'
check "the failure is kept" sh -c 'mailseal reports failures | grep "other.example.*open"'
check "no name of a person is in the store" sh -c '! grep -aq "bob@other.example" /var/lib/mailseal-reports/reports.db*'

tomorrow=$(date -u -d tomorrow +%Y-%m-%dT12:00:00Z)
check "root builds the report of the day" sh -c "mailseal reports send --now $tomorrow | grep 'other.example.*handed over'"
arrived() { [ "$(grep -ch "^Subject: Report Domain: other.example" /var/mail/alice)" = "$1" ]; }
check "it arrives" await arrived 1
check "signed" sh -c 'journalctl -u mailseal -o cat | grep "role=ours author=reports.example.com results=.signed="'
check "the failure report arrives" await grep -q "^Feedback-Type: auth-failure" /var/mail/alice
id=$(mailseal reports list --json | sed -n 's/^ *"id": "\(.*\)",*/\1/p' | head -n 1)
check "it is queued once more" mailseal reports resend "$id" --now "$(date -u -d '-1 hour' +%Y-%m-%dT%H:%M:%SZ)"
check "the unit itself sends it" await arrived 2
check "the store says so" sh -c 'mailseal reports list | grep "other.example.*handed over"'
check "neither unit failed" sh -c '[ "$(systemctl show -P NRestarts mailseal mailseal-reports | sort -u | xargs)" = 0 ]'
check "nothing was denied" sh -c '! journalctl -u mailseal -u mailseal-reports -o cat | grep -i "permission denied\|level=ERROR"'
check "status asks both" sh -c 'mailseal status | grep "^reports .*roles fold, send"'
check "status is good" mailseal status
systemctl stop mailseal-reports
check "status says that the process is away" sh -c '! mailseal status --no-check >/root/status; grep "does not answer at .*reports.collect, reports.send" /root/status'
check "mail goes on without it" smtp 198.51.100.1 bob@other.example alice@example.com later
echo "$passed passed, $failed failed"
