package reporting

// Roles are all roles that there are, in the order in which they are built.
func Roles() []Role {
	return []Role{foldRole(), sendRole(), intakeRole(), webRole(), testRole(), dnsRole()}
}
