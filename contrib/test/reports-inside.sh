#!/bin/bash
# DMARC reports under the units that are shipped: reports-inside.sh MTA, within the container of firsthour.sh. The
# daemon writes the spool, the process of reports, which is another user, reads and deletes it, makes the report of the
# day and hands it to the mail server, which brings it to the daemon to be signed.
set -uo pipefail
mta=$1
export PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
trial="reports, $mta"
. /root/inside.sh
fails() { ! "$@"; }

ip link set lo up
ip address add 198.51.100.1/32 dev lo
echo mail.example.com >/etc/hostname
hostname mail.example.com
echo "198.51.100.1 mail.example.com mail" >>/etc/hosts
useradd --create-home alice
printf 'd: alice\ndmarc: alice\n' >>/etc/aliases
here="mail.example.com example.com other.example reports.example.com"
if [ "$mta" = postfix ]; then
	postconf -e myhostname=mail.example.com "mydestination=$here localhost" recipient_delimiter=+ alias_maps=hash:/etc/aliases
	newaliases
	systemctl restart postfix
else
	printf '%s\n' $here >>/etc/mail/local-host-names
	cp /etc/aliases /etc/mail/aliases
	sed -i 's/, Addr=127.0.0.1//' /etc/mail/sendmail.mc
	make -C /etc/mail sendmail.cf >/dev/null 2>&1
	newaliases
	systemctl restart sendmail
fi

# smtp ADDRESS SENDER RECIPIENT SUBJECT: a message over SMTP. Addresses of loopback are in the mail server's networks.
smtp() {
	exec 3<>"/dev/tcp/$1/25" || return 1
	local line
	read -r -t 60 line <&3
	for line in "EHLO client.example" "MAIL FROM:<$2>" "RCPT TO:<$3>" DATA; do
		printf '%s\r\n' "$line" >&3
		while read -r -t 60 reply <&3 && [ "${reply:3:1}" = - ]; do :; done
		case $reply in [23]*) ;; *) echo "$line: $reply"; return 1 ;; esac
	done
	printf 'From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: Mon, 4 May 2026 12:00:00 +0000\r\nMessage-ID: <%s@x.example>\r\n\r\nHello.\r\n.\r\n' \
		"$2" "$3" "$4" "$4" >&3
	read -r -t 60 reply <&3
	printf 'QUIT\r\n' >&3
	exec 3>&-
	case $reply in 250*) ;; *) echo "end: $reply"; return 1 ;; esac
}

cat >/root/zone <<'END'
$ORIGIN .
example.com. 60 IN NS ns.example.com.
example.com. 60 IN MX 10 mail.example.com.
mail.example.com. 60 IN A 198.51.100.1
ns.example.com. 60 IN A 127.0.0.1
1.100.51.198.in-addr.arpa. 60 IN PTR mail.example.com.
other.example. 60 IN A 198.51.100.1
other.example. 60 IN TXT "v=spf1 ip4:198.51.100.1 -all"
_dmarc.other.example. 60 IN TXT "v=DMARC1; p=reject; fo=1; rua=mailto:d@other.example; ruf=mailto:d@other.example"
reports.example.com. 60 IN MX 10 mail.example.com.
END
echo nameserver 127.0.0.1 >/etc/resolv.conf
/root/zone-server /root/zone 127.0.0.1:53 >/root/zone.out 2>&1 &
until grep -q ready /root/zone.out; do sleep 0.1; done

cd /root/mailseal || exit 1
env PREFIX=/usr/local SYSCONFDIR=/etc DESTDIR= BIN=bin/mailseal RELEASE=bin/mailseal-release UNITDIR=/usr/local/lib/systemd/system \
	SYSUSERS=/usr/local/lib/sysusers.d MANDIR=/usr/local/share/man DATADIR=/usr/local/share/mailseal sh contrib/install.sh install
systemctl daemon-reload
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
check "the configuration is good" mailseal check
check "the user and the spool are made" sh -c 'systemd-sysusers && systemd-tmpfiles --create'
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
