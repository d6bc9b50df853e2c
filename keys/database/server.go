package database

import (
	"crypto/tls"
	"crypto/x509"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
)

// ErrConnect reports that there is no connection to the server: it does not answer, refuses the
// user, or is another kind of server. Explain wraps it.
var ErrConnect = errors.New("no connection to the database")

// server is the server that a DSN names, for texts.
type server struct {
	driver   Driver
	kind     string // PostgreSQL, or MariaDB or MySQL
	at       string // host and port, or the path of a socket; "" if there are several
	user     string
	database string
}

// explainServer returns the error of a server with a text that says in one sentence what is wrong
// and what to look at. Errors that it does not know, and those of a DSN with several servers,
// remain as they are.
func explainServer(d Driver, dsn string, err error) error {
	s := newServer(d, dsn)
	if s.at == "" {
		return err
	}
	if text := s.refusal(err); text != "" {
		return &failure{text, errors.Join(ErrConnect, err)}
	}
	if IsQueryError(err) || IsDataError(err) {
		return err
	}
	if text := s.silence(err); text != "" {
		return &failure{text, errors.Join(ErrConnect, err)}
	}
	return err
}

func newServer(d Driver, dsn string) server {
	if d == MySQL {
		c, err := mysql.ParseDSN(dsn)
		if err != nil {
			return server{}
		}
		return server{d, "MariaDB or MySQL", c.Addr, c.User, c.DBName}
	}
	c, err := pgx.ParseConfig(dsn)
	if err != nil || hosts(c) != 1 {
		return server{}
	}
	network, at := pgconn.NetworkAddress(c.Host, c.Port)
	if network == "unix" {
		at = "the socket " + at
	}
	return server{d, "PostgreSQL", at, c.User, c.Database}
}

// refusal is for a server that answers, and does not let the user in.
func (s server) refusal(err error) string {
	code, said := "", ""
	var pg *pgconn.PgError
	var my *mysql.MySQLError
	switch {
	case errors.As(err, &pg):
		code, said = pg.Code, pg.Message
	case errors.As(err, &my):
		code, said = fmt.Sprint(my.Number), my.Message
	}
	said = Redact(errors.New(said)).Error()
	where := s.kind + " at " + s.at
	switch code {
	case "28P01", "1045": // wrong password
		return fmt.Sprintf("%s refuses the user %q or the password: %s", where, s.user, said)
	case "28000": // no entry in pg_hba.conf, or no such role
		return fmt.Sprintf("%s refuses the user %q: %s; there may be no such user, or its "+
			"pg_hba.conf has no line for this user, database, host and kind of connection", where,
			s.user, said)
	case "3D000", "1049":
		return fmt.Sprintf("%s has no database %q: %s", where, s.database, said)
	case "1044":
		return fmt.Sprintf("%s does not let the user %q use the database %q: %s; GRANT gives the "+
			"right", where, s.user, s.database, said)
	case "53300", "1040", "1203":
		return fmt.Sprintf("%s accepts no more connections: %s", where, said)
	case "57P03":
		return fmt.Sprintf("%s is starting or stopping: %s", where, said)
	}
	return ""
}

// notTLS is what pgx reports if a server answers N to its request for TLS.
const notTLS = "server refused TLS connection"

// silence is for a server that does not answer, or not as a database does.
func (s server) silence(err error) string {
	where := s.kind + " at " + s.at
	var unknown *net.DNSError
	var record tls.RecordHeaderError
	var untrusted x509.UnknownAuthorityError
	var otherName x509.HostnameError
	var outdated x509.CertificateInvalidError
	var timeout net.Error
	switch {
	case errors.As(err, &unknown) && unknown.IsNotFound:
		return fmt.Sprintf("there is no host %q: correct its name", unknown.Name)
	case errors.As(err, &unknown):
		return fmt.Sprintf("the address of the host %q could not be found out: the DNS does not "+
			"answer", unknown.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return where + " does not answer: connection refused; is it running, and are host and " +
			"port right?"
	case errors.Is(err, fs.ErrNotExist) && strings.Contains(s.at, "/"):
		return where + " does not answer: there is no such file; is it running, and is the " +
			"directory of the socket right?"
	case errors.Is(err, os.ErrPermission) && strings.Contains(s.at, "/"):
		return where + " does not answer: permission denied; this user may not use the socket"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return where + " does not answer: there is no route to the host"
	case errors.As(err, &untrusted), errors.As(err, &otherName), errors.As(err, &outdated):
		return fmt.Sprintf("the certificate of %s is not accepted: %v", where, certificate(err))
	case errors.Is(err, mysql.ErrNoTLS):
		return where + " offers no TLS: set it up there, or leave out the TLS settings of the dsn"
	case errors.Is(err, mysql.ErrMalformPkt), errors.Is(err, mysql.ErrPktSync),
		errors.Is(err, mysql.ErrPktSyncMul), errors.Is(err, mysql.ErrOldProtocol),
		errors.Is(err, mysql.ErrBusyBuffer), errors.Is(err, mysql.ErrInvalidConn),
		errors.Is(err, driver.ErrBadConn), errors.As(err, &record):
		return s.another()
	case errors.As(err, &timeout) && timeout.Timeout() && s.isConnecting(err):
		return where + " does not answer in time; is a firewall in between, and are host and port " +
			"right?"
	case s.isConnecting(err) && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET)):
		return s.another()
	case s.isConnecting(err) && strings.Contains(err.Error(), notTLS):
		return where + " offers no TLS, which sslmode asks for, or the server there is not " +
			"PostgreSQL; are host and port right?"
	}
	return ""
}

// another says that something else listens at the address.
func (s server) another() string {
	return fmt.Sprintf("the server at %s does not speak the protocol of %s; are host and port right?", s.at, s.kind)
}

// isConnecting reports whether an error comes from opening a connection, and not from a query.
func (s server) isConnecting(err error) bool {
	var connecting *pgconn.ConnectError
	var dial *net.OpError
	return errors.As(err, &connecting) || errors.As(err, &dial) && dial.Op == "dial" ||
		s.driver == MySQL && errors.Is(err, io.EOF)
}

// certificate is the part of an error that is about a certificate.
func certificate(err error) error {
	var verification *tls.CertificateVerificationError
	if errors.As(err, &verification) {
		return verification.Err
	}
	return err
}

// IsDenied reports whether the user of the database lacks a right.
func IsDenied(err error) bool {
	var pg *pgconn.PgError
	var my *mysql.MySQLError
	var lite *sqlite.Error
	switch {
	case errors.As(err, &pg):
		return pg.Code == "42501"
	case errors.As(err, &my):
		return my.Number == 1142 || my.Number == 1143 || my.Number == 1044
	case errors.As(err, &lite):
		return lite.Code()&0xff == 8 // SQLITE_READONLY
	}
	return false
}

// IsLoginRefused reports whether PostgreSQL refused the user or the password.
func IsLoginRefused(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && strings.HasPrefix(pg.Code, "28")
}

// IsTableMissing reports whether PostgreSQL lacks a table that was asked for.
func IsTableMissing(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "42P01"
}

// IsFull reports whether the database has no space left.
func IsFull(err error) bool {
	var pg *pgconn.PgError
	var my *mysql.MySQLError
	var lite *sqlite.Error
	switch {
	case errors.As(err, &pg):
		return pg.Code == "53100"
	case errors.As(err, &my):
		return my.Number == 1021 || my.Number == 1114
	case errors.As(err, &lite):
		return lite.Code()&0xff == 13 // SQLITE_FULL
	}
	return false
}
