#!/bin/sh
# A first installation starts nothing: the service needs its configuration. An upgrade restarts it if it runs.
set -e
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl try-restart tenant-provisioner.service
fi
