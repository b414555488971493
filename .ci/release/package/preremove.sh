#!/bin/sh
# The package is removed (dpkg: remove, rpm: 0), and not upgraded: the service stops. Its data in
# /var/lib/tenant-provisioner stays.
set -e
case $1 in
  remove | 0)
    if [ -d /run/systemd/system ]; then
      systemctl disable --now tenant-provisioner.service
    fi
    ;;
esac
