-- Keys and who signs with them, in PostgreSQL 12 or newer. contrib/README.md shows the settings for these tables.
-- Give the daemon a role of its own: GRANT SELECT ON dkim_keys, dkim_signing TO mailseal;

-- Private keys. A user who can read this table can sign for these domains: grant access only to the daemon.
CREATE TABLE dkim_keys (
	name        text PRIMARY KEY,  -- as the signing table calls it: selector._domainkey.domain is a good name
	domain      text NOT NULL,     -- the d= tag
	selector    text NOT NULL,     -- the s= tag
	private_key text NOT NULL      -- PEM, or base64 without armour, or an Ed25519 seed in base64
);

-- Who signs with which keys. A domain without a row here goes unsigned.
CREATE TABLE dkim_signing (
	domain   text NOT NULL CHECK (domain = lower(domain)), -- the author's domain, in A-labels
	login    text NOT NULL DEFAULT '',                     -- '' matches every client; otherwise only a client that logged in with this name
	key_name text NOT NULL REFERENCES dkim_keys (name),
	PRIMARY KEY (domain, login, key_name)
);
