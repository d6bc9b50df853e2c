package mta

import (
	"path"
	"slices"
)

// PostfixInstances returns the configuration directories of the other Postfixes on the host, as
// multi_instance_directories of the main.cf in dir lists them (postmulti(1)), those alone that have
// a main.cf.
func PostfixInstances(h Host, dir string) []string {
	text, err := h.ReadFile(path.Join(dir, "main.cf"))
	if err != nil {
		return nil // Postfix reports it
	}
	main := readMain("main.cf", text)
	var out []string
	for _, w := range words(main.get("multi_instance_directories"), ", \t\r\n") {
		instance := path.Clean(w.text)
		_, err := h.ReadFile(path.Join(instance, "main.cf"))
		if err == nil && path.IsAbs(instance) && instance != dir &&
			!slices.Contains(out, instance) {
			out = append(out, instance)
		}
	}
	return out
}

// receivesMail reports whether a service takes mail in from other hosts or from users.
func (w *way) receivesMail() bool {
	interfaces := w.get("inet_interfaces")
	isLocal := interfaces == "loopback-only" || interfaces == "127.0.0.1" ||
		interfaces == "localhost"
	return w.param == "smtpd_milters" && (w.isSubmission() || !w.isLoopback() && !isLocal)
}
