package report

import "slices"

// mailboxes are domains at which anyone can have an address. Mail that is authenticated for one of
// them proves who its customer is, and nothing about who reports: these providers report from other
// names, such as google.com for gmail.com, or from a name below.
var mailboxes = []string{
	"126.com", "163.com", "aim.com", "aol.com", "att.net", "bk.ru", "bluewin.ch", "btinternet.com",
	"comcast.net", "cox.net", "fastmail.com",
	"fastmail.fm", "foxmail.com", "free.fr", "freenet.de", "gmail.com", "gmx.at", "gmx.ch",
	"gmx.com", "gmx.de", "gmx.net",
	"googlemail.com", "hey.com", "hotmail.co.uk", "hotmail.com", "hotmail.de", "hotmail.fr",
	"icloud.com", "inbox.lv", "inbox.ru",
	"laposte.net", "libero.it", "list.ru", "live.com", "live.nl", "mac.com", "mail.com", "mail.de",
	"mail.ru", "mailbox.org", "me.com",
	"msn.com", "naver.com", "o2.pl", "onet.pl", "orange.fr", "outlook.com", "outlook.de", "pm.me",
	"posteo.de", "proton.me",
	"protonmail.com", "qq.com", "rambler.ru", "rediffmail.com", "sapo.pt", "sbcglobal.net",
	"seznam.cz", "sina.com", "sohu.com",
	"t-online.de", "tutanota.com", "ukr.net", "verizon.net", "web.de", "wp.pl", "ya.ru",
	"yahoo.co.jp", "yahoo.co.uk", "yahoo.com",
	"yahoo.de", "yahoo.fr", "yandex.com", "yandex.ru", "yeah.net", "ymail.com", "ziggo.nl",
	"zoho.com", "zohomail.com",
}

// isMailboxes reports whether anyone can have an address at a domain.
func isMailboxes(domain string) bool { return slices.Contains(mailboxes, domain) }
