#!/bin/sh
# host.sh NAME ROOT: becomes a host, as far as programs can tell, in new namespaces (network, name, processes, mounts, System V objects). Of its own: /dev/shm, /sys, ROOT/run and ROOT/config; the rest of the file system
# is shared with the other hosts, as on a cluster. Served by ssh. Its end is the loss of the host.
set -e
hostname "$1"
mount --make-rprivate /
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t sysfs sysfs /sys
for part in run config; do
    mkdir -p -m 700 "$2/$part" "$2/$part.$1"
    mount --bind "$2/$part.$1" "$2/$part"
done
mount --bind "$2/hosts" /etc/hosts
mkdir -p /run/sshd
ip link set lo up
echo ready
exec /usr/sbin/sshd -D -e -f "$2/sshd_config"
