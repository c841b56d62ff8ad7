"""File systems by their type, as ``/proc/self/mountinfo`` names it: what of them is known beforehand."""

from __future__ import annotations

VOLATILE = frozenset("aufs devtmpfs overlay overlayfs ramfs squashfs tmpfs".split())  # noqa: SIM905
"""Those that are gone with the machine, or with the container."""

NETWORK = frozenset(
    "9p beegfs ceph cifs fuse.ceph-fuse fuse.glusterfs fuse.juicefs glusterfs gpfs lustre nfs nfs4"  # noqa: SIM905
    " orangefs panfs pvfs2 smb3 virtiofs wekafs".split()
)
"""Those that lie elsewhere, and behave as POSIX wants it."""

OBJECT_STORES = frozenset(
    "fuse.blobfuse fuse.blobfuse2 fuse.cosfs fuse.gcsfuse fuse.geesefs fuse.goofys fuse.mountpoint-s3"  # noqa: SIM905
    " fuse.obsfs fuse.ossfs fuse.rclone fuse.riofs fuse.s3fs".split()
)
"""Those over an object store, where a rename is a copy and a deletion."""

_LOCAL = frozenset(
    "apfs bcachefs btrfs exfat ext2 ext3 ext4 f2fs fuseblk hfs jfs reiserfs vfat xfs zfs".split()  # noqa: SIM905
)
ATOMIC = _LOCAL | NETWORK | VOLATILE
"""Those whose rename(2) replaces a file as one step, as POSIX wants it."""
