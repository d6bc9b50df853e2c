package keyfile

import (
	"encoding/binary"
	"io/fs"

	"golang.org/x/sys/unix"
)

// The tags of an access control list (acl(5)) as the kernel keeps it: a version, and entries of
// tag, rights and user or group, all little endian.
const (
	aclUser     = 0x02
	aclGroupObj = 0x04
	aclGroup    = 0x08
	aclMask     = 0x10

	aclHeader = 4
	aclEntry  = 8
)

// groupRights returns the mode of a file with what its group may really do in it. Where there is an
// access control list the mode shows the mask there, which is as wide as what the list gives to
// anyone. Those whom it names, and whom this checker does not trust, count as the group.
func (c checker) groupRights(path string, mode fs.FileMode) fs.FileMode {
	list := make([]byte, 4096)
	n, err := unix.Getxattr(path, "system.posix_acl_access", list)
	if err != nil || n < aclHeader {
		return mode
	}
	var rights, mask uint16 = 0, 7
	for entry := list[aclHeader:n]; len(entry) >= aclEntry; entry = entry[aclEntry:] {
		may, id := binary.LittleEndian.Uint16(entry[2:]), binary.LittleEndian.Uint32(entry[4:])
		switch binary.LittleEndian.Uint16(entry) {
		case aclGroupObj:
			rights |= may
		case aclUser:
			if !c.trusts(id) {
				rights |= may
			}
		case aclGroup:
			if !c.mayWrite(id) {
				rights |= may
			}
		case aclMask:
			mask = may
		}
	}
	return mode&^0o070 | fs.FileMode(rights&mask)<<3
}
