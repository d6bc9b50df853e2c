package remedy

// AuthservID sets the name under which results are written. Where the full name of the host is not
// known, "", it is for the operator to fill in.
func AuthservID(name string) Remedy {
	if name == "" {
		return of(ServerName, "mx.example.com", ", with this host's full name")
	}
	return of(ServerName, name, "")
}
