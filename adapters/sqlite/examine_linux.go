package sqlite

import (
	"path/filepath"
	"syscall"

	"github.com/leftfold/leftfold/checkup"
)

// The file systems that a file should not be on, by the magic numbers of statfs(2).
var (
	network = map[uint32]string{0x6969: "NFS", 0xff534d42: "CIFS", 0xfe534d42: "SMB", 0x517b: "SMB", 0x01021997: "9p", 0x00c36400: "Ceph", 0x65735546: "FUSE"}
	passing = map[uint32]string{0x01021994: "tmpfs", 0x858458f6: "ramfs", 0x794c7630: "overlay"}
)

// examineDisk looks at the disk that the file is on.
func examineDisk(path string) []checkup.Finding {
	var fs syscall.Statfs_t
	err := syscall.Statfs(filepath.Dir(path), &fs)
	return []checkup.Finding{
		checkup.Ask("file system", func() (checkup.Finding, error) { return onFileSystem(uint32(fs.Type)), err }),
		checkup.Ask("free disk", func() (checkup.Finding, error) { return freeDisk(fs.Bavail * uint64(fs.Bsize)), err }),
	}
}

func onFileSystem(magic uint32) checkup.Finding {
	const check = "file system"
	if name, ok := network[magic]; ok {
		return checkup.Warn(check, "move the file to a local disk, or use Postgres", "it is on %s: locks may not work there, and a file that two machines write is damaged", name)
	}
	if name, ok := passing[magic]; ok {
		return checkup.Warn(check, "move the file to a disk, or a volume, that stays", "it is on %s: it is gone with the machine or the container", name)
	}
	return checkup.Fine(check, "it is on a local disk")
}

func freeDisk(bytes uint64) checkup.Finding {
	const check, low, least = "free disk", 1 << 30, 64 << 20
	switch {
	case bytes < least:
		return checkup.Fail(check, "free some space", "%d MB are left: appends are about to be refused", bytes>>20)
	case bytes < low:
		return checkup.Warn(check, "free some space", "%d MB are left", bytes>>20)
	}
	return checkup.Fine(check, "%d GB are left", bytes>>30)
}
