-- Keys and who signs with them, in MariaDB 10.3 or MySQL 8.0, or newer. contrib/README.md shows the settings for these
-- tables. Give the daemon a user of its own: GRANT SELECT ON mail.dkim_keys TO mailseal; the same for mail.dkim_signing.

-- Private keys. A user who can read this table can sign for these domains: grant access only to the daemon.
CREATE TABLE dkim_keys (
	name        varchar(320) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY, -- as the signing table calls it
	domain      varchar(255) CHARACTER SET ascii NOT NULL,                               -- the d= tag, in A-labels
	selector    varchar(255) CHARACTER SET ascii NOT NULL,                               -- the s= tag
	private_key text CHARACTER SET ascii NOT NULL                                        -- PEM, base64 without armour, or an Ed25519 seed in base64
) ENGINE = InnoDB;

-- Who signs with which keys. A domain without a row here goes unsigned.
CREATE TABLE dkim_signing (
	domain   varchar(255) CHARACTER SET ascii NOT NULL,                                  -- the author's domain, in A-labels
	login    varchar(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '', -- '' matches every client; otherwise only a client that logged in with this name
	key_name varchar(320) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	PRIMARY KEY (domain, login, key_name),
	FOREIGN KEY (key_name) REFERENCES dkim_keys (name)
) ENGINE = InnoDB;
