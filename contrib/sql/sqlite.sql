-- Keys and who signs with them, in a file of SQLite: sqlite3 /var/lib/mailseal/keys.db < sqlite.sql
-- contrib/README.md shows the settings for these tables. The file is as secret as a private key: chmod 0600.

-- Private keys.
CREATE TABLE dkim_keys (
	name        text PRIMARY KEY NOT NULL, -- as the signing table calls it: selector._domainkey.domain is a good name
	domain      text NOT NULL,             -- the d= tag
	selector    text NOT NULL,             -- the s= tag
	private_key text NOT NULL              -- PEM, or base64 without armour, or an Ed25519 seed in base64
) WITHOUT ROWID;

-- Who signs with which keys. A domain without a row here goes unsigned.
CREATE TABLE dkim_signing (
	domain   text NOT NULL CHECK (domain = lower(domain)), -- the author's domain, in A-labels
	login    text NOT NULL DEFAULT '',                     -- '' matches every client; otherwise only a client that logged in with this name
	key_name text NOT NULL REFERENCES dkim_keys (name),
	PRIMARY KEY (domain, login, key_name)
) WITHOUT ROWID;
