package message

// Digests takes a body as it streams by and keeps nothing of it but hashes.
type Digests struct{}
