#!/bin/sh
# Becomes the init of one host. Called inside fresh mount, uts and pid namespaces:
#   boot.sh ROOT HOSTNAME
# ROOT is the mounted filesystem of the host. Its mounts below exist only in this namespace, so they are gone
# with the host; pivot_root leaves none of the machine's own mounts in it.
set -eu
umask 022
mount --make-rprivate /
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs run
mkdir -p dev/shm dev/pts run/sshd run/lock run/.machine
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts dev/pts
hostname "$2"
pivot_root . run/.machine
cd /
umount --lazy run/.machine
rmdir run/.machine
/usr/sbin/sshd -E /var/log/sshd.log
# A real init: it reaps what outlives its parent, as detached jobs do.
exec /usr/bin/tini -- sleep infinity
