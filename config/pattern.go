package config

// NormalPattern is how address patterns stand in a Config, whatever way they were written:
//
//	user@example.com   that address
//	*@example.com      any user of the domain; also written example.com
//	*@*.example.com    any user of any domain below it, at any depth; also written .example.com
//	user@*             that user of any domain
//	*                  everybody; also written *@*
//
// Domains are in lower case; users keep theirs.
const NormalPattern = "user@domain, *@domain, *@*.domain, user@* or *"
