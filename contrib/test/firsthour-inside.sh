#!/bin/bash
# What a new user does on a fresh host, and what must come of it: firsthour-inside.sh MTA WAY, within the container of
# firsthour.sh. WAY is "setup", by which setup changes the mail server, or "hand".
set -uo pipefail
mta=$1
way=$2
export PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
steps=0
trial="first hour, $mta, $way"
. /root/inside.sh
step() { # COMMAND...: one step of the user's
	steps=$((steps + 1))
	say "step $steps: $*"
	"$@" >>/root/steps.log 2>&1 || { failed=$((failed + 1)); say "FAILED: $*"; cat /root/steps.log >&2; }
}
fails() { ! "$@"; }

# The host as its owner has it: a name, an address of the internet's, a user, and a mail server that runs.
ip link set lo up
ip address add 198.51.100.1/32 dev lo
echo mail.example.com >/etc/hostname
hostname mail.example.com
echo "198.51.100.1 mail.example.com mail" >>/etc/hosts
useradd --create-home alice
if [ "$mta" = postfix ]; then
	postconf -e myhostname=mail.example.com "mydestination=mail.example.com, example.com, localhost"
	systemctl restart postfix
else
	echo example.com >>/etc/mail/local-host-names
	# Listen beyond loopback, as an MX does.
	sed -i 's/, Addr=127.0.0.1//' /etc/mail/sendmail.mc
	# It closes its port while the load of the host, whoever makes it, is above 12 for each processor.
	sed -i "s/^MAILER_DEFINITIONS/define(\`confREFUSE_LA', \`10000')dnl\ndefine(\`confQUEUE_LA', \`10000')dnl\n&/" /etc/mail/sendmail.mc
	grep -q confREFUSE_LA /etc/mail/sendmail.mc
	make -C /etc/mail sendmail.cf >/dev/null 2>&1
	systemctl restart sendmail
fi

# smtp FROM-ADDRESS SENDER: a message to alice over SMTP. Addresses of loopback are in the mail server's networks.
smtp() {
	exec 3<>"/dev/tcp/$1/25" || return 1
	local line
	read -r -t 60 line <&3
	for line in "EHLO client.example" "MAIL FROM:<$2>" "RCPT TO:<alice@example.com>" DATA; do
		printf '%s\r\n' "$line" >&3
		while read -r -t 60 reply <&3 && [ "${reply:3:1}" = - ]; do :; done
		case $reply in [23]*) ;; *) echo "$line: $reply"; return 1 ;; esac
	done
	printf 'From: %s\r\nTo: alice@example.com\r\nSubject: %s\r\nDate: Mon, 4 May 2026 12:00:00 +0000\r\nMessage-ID: <%s@x.example>\r\n\r\nHello.\r\n.\r\n' \
		"$2" "$3" "$3" >&3
	read -r -t 60 reply <&3
	printf 'QUIT\r\n' >&3
	exec 3>&-
	case $reply in 250*) ;; *) echo "end: $reply"; return 1 ;; esac
}
delivered() { # SUBJECT: waits for a message in alice's mailbox
	for _ in $(seq 300); do
		grep -qs "^Subject: $1" /var/mail/alice && return
		sleep 0.1
	done
	return 1
}
message() { # SUBJECT: prints it
	awk -v want="Subject: $1" '/^From /{ if (found) print text; text = ""; found = 0 } { text = text $0 "\n" } $0 == want { found = 1 } END { if (found) print text }' /var/mail/alice
}

# A name server, so that records can be published.
cat >/root/zone <<'END'
$ORIGIN .
example.com. 60 IN NS ns.example.com.
example.com. 60 IN MX 10 mail.example.com.
mail.example.com. 60 IN A 198.51.100.1
ns.example.com. 60 IN A 127.0.0.1
1.100.51.198.in-addr.arpa. 60 IN PTR mail.example.com.
other.example. 60 IN A 198.51.100.1
other.example. 60 IN TXT "v=spf1 ip4:198.51.100.1 -all"
_dmarc.other.example. 60 IN TXT "v=DMARC1; p=reject"
END
echo nameserver 127.0.0.1 >/etc/resolv.conf
/root/zone-server /root/zone 127.0.0.1:53 >/root/zone.out 2>&1 &
until grep -q ready /root/zone.out; do sleep 0.1; done

began=$(date +%s)
cd /root/mailseal
install_program() { # what "make install" runs; this host need not have make
	env PREFIX=/usr/local SYSCONFDIR=/etc DESTDIR= BIN=bin/mailseal RELEASE=bin/mailseal-release UNITDIR=/usr/local/lib/systemd/system \
		SYSUSERS=/usr/local/lib/sysusers.d MANDIR=/usr/local/share/man DATADIR=/usr/local/share/mailseal sh contrib/install.sh install &&
		systemctl daemon-reload
}
publish() { # every record that setup printed
	mailseal setup --yes example.com >/root/records
	awk '/^ *zone file:/ { getline; print }' /root/records | sed 's/^ *//' >/root/new
	[ "$(wc -l </root/new)" = 4 ] || { cat /root/records; return 1; }
	cat /root/zone /root/new >/root/zone.new && mv /root/zone.new /root/zone
}
step install_program
if [ "$way" = setup ]; then
	step mailseal setup --yes --apply example.com
else
	step mailseal setup --yes example.com
	step systemctl enable --now mailseal.service
	if [ "$mta" = postfix ]; then
		put_lines() { grep -v '^#' contrib/postfix/main.cf >>/etc/postfix/main.cf && postfix reload; }
	else
		put_lines() {
			sed -i '/^MAILER_DEFINITIONS/e grep ^INPUT_MAIL_FILTER contrib/sendmail/sendmail.mc' /etc/mail/sendmail.mc &&
				make -C /etc/mail sendmail.cf && systemctl restart sendmail
		}
	fi
	step put_lines
fi
step publish
step mailseal setup --yes --wait 1m example.com
check "a message of ours is taken" smtp 127.0.0.1 alice@example.com ours
check "it is delivered" delivered ours
say "from nothing to a signed mail: $(($(date +%s) - began)) s, in $steps steps"
check "it is signed with both keys" sh -c '[ "$(grep -c "^DKIM-Signature:" /var/mail/alice)" = 2 ] && grep -q "d=example.com" /var/mail/alice'
check "a stranger's message is taken" smtp 198.51.100.1 bob@other.example theirs
check "it is delivered, too" delivered theirs
check "it is judged" sh -c 'grep -A9 "^Authentication-Results: mail.example.com;" /var/mail/alice | grep -q "dmarc=pass"'
check "at most six steps, publishing included" test "$steps" -le 6
check "the records are good" mailseal check --dns
check "the keys are the service's alone" sh -c '[ "$(stat -c %U:%a /var/lib/mailseal/keys/example.com/*.pem | sort -u)" = mailseal:600 ]'
check "check finds no error" mailseal check
check "status is good" mailseal status

if [ "$way" = setup ]; then
	sum() { cat /etc/mailseal/mailseal.toml /etc/postfix/main.cf /etc/mail/sendmail.mc /var/lib/mailseal/keys/example.com/* 2>/dev/null | sha256sum; }
	before=$(sum)
	check "run again it is good" mailseal setup --yes --apply example.com
	check "run again it changes nothing" test "$before" = "$(sum)"
	check "the test message left nothing behind" sh -c '! grep -r mailseal-test /var/mail /var/spool/mqueue /var/spool/postfix/deferred /var/spool/postfix/active 2>/dev/null | grep .'
	if [ "$mta" = postfix ]; then
		# A service past Mailseal takes the test message: it must not stay.
		printf '127.0.0.1:2525 inet n - n - - smtpd -o smtpd_milters=\n' >>/etc/postfix/master.cf
		postfix reload >/dev/null 2>&1
		until (exec 4<>/dev/tcp/127.0.0.1/2525) 2>/dev/null; do sleep 0.1; done
		check "a test message that passes Mailseal is a fault" sh -c '
			mailseal setup --yes --apply --smtp 127.0.0.1:2525 example.com >/root/fault 2>&1; rc=$?
			cat /root/fault; mailq
			[ $rc = 1 ] && grep -q "accepted the test message" /root/fault && mailq | grep -q "queue is empty"'
	fi
	check "undo" mailseal setup --undo
	check "the mail server is as it was" sh -c '! grep -i mailseal /etc/postfix/main.cf /etc/mail/sendmail.mc 2>/dev/null | grep .'
	check "the unit is not enabled" fails systemctl is-enabled --quiet mailseal.service
	check "undone twice is good" mailseal setup --undo
	check "mail passes without it" smtp 127.0.0.1 alice@example.com after
	check "and is delivered" delivered after
else
	check "setup has nothing to apply" sh -c 'mailseal setup --yes --apply example.com | grep -q "the test message reached the daemon"'
fi
echo "$passed passed, $failed failed"
