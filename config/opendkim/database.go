package opendkim

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// elsewhere reports tables that are stored where Mailseal does not read them. For tables in
// an SQL database it prints a draft of the source that replaces them.
func (im *importer) elsewhere(ke, se entry) {
	keys, ok := parseDSN(ke.value)
	signing, both := parseDSN(se.value)
	if !ok || !both {
		im.note("tables-elsewhere", ke, "")
		return
	}
	im.report.Notes = slices.DeleteFunc(im.report.Notes, func(n Note) bool {
		at := place{File: n.File, Line: n.Line}
		return n.Code == "set-elsewhere" && (at == ke.place || at == se.place)
	}) // the sketch is what is to be done about them
	im.note("tables-elsewhere", ke,
		": Mailseal queries the database itself. mailseal.toml has a sketch of "+
			"[sources] as a comment: remove the #, and run mailseal check, which queries the database")
	im.note("signing-elsewhere", se)
	comment := []string{
		"KeyTable and SigningTable are in a database. Mailseal uses its own queries: see [sources] in",
		"mailseal.toml(5). If the last column of key_query has paths of files, key_dir is the directory above them.",
		"signing_query runs once, for the author's address, the domain and *. For OpenDKIM's patterns of domains",
		"below another (.example.com), write a query of your own. Remove the #, and run mailseal check:",
		"",
	}
	if signing.connection() != keys.connection() {
		comment = append(comment,
			"SigningTable is in another database than KeyTable, and a source queries only one. Move it to the",
			"database of the keys, or make both available in one database.",
			"")
	}
	if keys.password != "" {
		im.note("database-password", ke, passwordWord)
		comment = append(comment,
			fmt.Sprintf("The password is not copied. Replace %s with it; you find it in %s.",
				passwordWord, ke.place),
			"Keep this file unreadable to others: owner root, group mailseal, mode 0640.",
			"")
	}
	im.out.add("", append(comment, sketch(keys, signing)...)...)
}

// passwordWord replaces the database's password in the draft, since output ends up in
// terminals and tickets.
const passwordWord = "PASSWORD"

// dsn is a data set in an SQL database, as OpenDKIM names it:
// dsn:pgsql://user:password@port+host/base/table=t?keycol=k.
type dsn struct {
	driver, user, password, host, port, base string
	table, key, data, filter                 string
}

// drivers are the databases of OpenDBX that Mailseal knows, too.
var drivers = map[string]string{"pgsql": "postgres", "mysql": "mysql", "sqlite3": "sqlite"}

// parseDSN reads the name of a data set. It is false for one that is in no database that Mailseal
// knows.
func parseDSN(s string) (d dsn, ok bool) {
	kind, rest, _ := strings.Cut(strings.TrimSpace(s), ":")
	backend, rest, found := strings.Cut(rest, "://")
	if d.driver = drivers[strings.ToLower(backend)]; !strings.EqualFold(kind, "dsn") || !found ||
		d.driver == "" {
		return d, false
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		d.user, d.password, _ = strings.Cut(rest[:at], ":")
		rest = rest[at+1:]
	}
	cut := strings.LastIndex(rest, "/table=")
	if cut < 0 {
		return d, false
	}
	where, what := rest[:cut], rest[cut+1:]
	host, base, _ := strings.Cut(where, "/")
	d.base = base
	if port, name, ok := strings.Cut(host, "+"); ok {
		d.port, host = port, name
	}
	d.host = host
	for part := range strings.SplitSeq(what, "?") {
		name, value, _ := strings.Cut(part, "=")
		if text, err := url.PathUnescape(value); err == nil {
			value = text
		}
		switch name {
		case "table":
			d.table = value
		case "keycol":
			d.key = value
		case "datacol":
			d.data = value
		case "filter":
			d.filter = value
		}
	}
	return d, d.table != "" && d.key != "" && d.data != ""
}

// connection is the dsn of a source of Mailseal, without the password.
func (d dsn) connection() string {
	switch d.driver {
	case "mysql":
		login := d.user
		if d.password != "" {
			login += ":" + passwordWord
		}
		port := d.port
		if port == "" {
			port = "3306"
		}
		return fmt.Sprintf("%s@tcp(%s:%s)/%s", login, d.host, port, d.base)
	case "sqlite":
		return "/" + strings.TrimPrefix(d.base, "/")
	}
	out := "host=" + d.host
	parts := [][2]string{{"port", d.port}, {"dbname", d.base}, {"user", d.user}}
	if d.password != "" {
		parts = append(parts, [2]string{"password", passwordWord})
	}
	for _, part := range parts {
		if part[1] != "" {
			out += " " + part[0] + "=" + part[1]
		}
	}
	return out
}

// signingQuery asks for the keys of an author: by the address, the domain, or "*", whichever is
// first in this order, as OpenDKIM does.
func (d dsn) signingQuery() string {
	q := fmt.Sprintf("SELECT %s FROM %s WHERE %s IN ($3, $1, '*')", strings.ReplaceAll(d.data, ",",
		", "), d.table, d.key)
	if d.filter != "" {
		q += " AND " + d.filter
	}
	return q + fmt.Sprintf(" ORDER BY CASE %s WHEN $3 THEN 1 WHEN $1 THEN 2 ELSE 3 END LIMIT 1",
		d.key)
}

// query asks for the data of a key.
func (d dsn) query() string {
	columns := strings.ReplaceAll(d.data, ",", ", ")
	q := fmt.Sprintf("SELECT %s FROM %s WHERE %s = $1", columns, d.table, d.key)
	if d.filter != "" {
		q += " AND " + d.filter
	}
	return q
}

func sketch(keys, signing dsn) []string {
	out := []string{
		"[sources.opendkim]",
		"driver = " + quote(keys.driver),
		"dsn = " + quote(keys.connection()),
		"key_query = " + quote(keys.query()),
	}
	if keys.hasPaths() {
		out = append(out, "key_dir = "+quote("/etc/opendkim/keys"))
	}
	return append(out,
		"signing_query = "+quote(signing.signingQuery()),
		"",
		"[[sign]]",
		`source = "opendkim"`,
	)
}

// hasPaths reports whether the column of the keys is called as if it held paths of files.
func (d dsn) hasPaths() bool {
	last := strings.ToLower(d.data[strings.LastIndexByte(d.data, ',')+1:])
	return strings.Contains(last, "path") || strings.Contains(last, "file")
}
