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

host example.com

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

serve_zone <<'END'
_dmarc.other.example. 60 IN TXT "v=DMARC1; p=reject"
END

began=$(date +%s)
cd /root/mailseal
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
check "a message of ours is taken" smtp 127.0.0.1 alice@example.com alice@example.com ours
check "it is delivered" delivered ours
say "from nothing to a signed mail: $(($(date +%s) - began)) s, in $steps steps"
check "it is signed with both keys" sh -c '[ "$(grep -c "^DKIM-Signature:" /var/mail/alice)" = 2 ] && grep -q "d=example.com" /var/mail/alice'
check "a stranger's message is taken" smtp 198.51.100.1 bob@other.example alice@example.com theirs
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
	check "mail passes without it" smtp 127.0.0.1 alice@example.com alice@example.com after
	check "and is delivered" delivered after
else
	check "setup has nothing to apply" sh -c 'mailseal setup --yes --apply example.com | grep -q "the test message reached the daemon"'
fi
echo "$passed passed, $failed failed"
