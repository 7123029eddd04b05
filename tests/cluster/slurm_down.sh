#!/usr/bin/env bash
# Stop the cluster that slurm_up.sh started below ROOT, and take its links out of /etc/slurm.
#   slurm_down.sh ROOT
ROOT=$(realpath -m "$1")
# nobody may reap a stopped daemon, and a zombie still has its pid
alive() { [ -r "/proc/$1/stat" ] && [ "$(sed 's/.*) //; s/ .*//' "/proc/$1/stat")" != Z ]; }
for file in "$ROOT"/run/slurmd.*.pid "$ROOT"/run/slurmctld.pid "$ROOT"/run/munged.pid; do
  [ -s "$file" ] || continue
  pid=$(cat "$file")
  kill "$pid" 2>/dev/null
  for _ in $(seq 100); do alive "$pid" || break; sleep 0.1; done
  alive "$pid" && kill -9 "$pid" 2>/dev/null
done
for name in slurm.conf gres.conf; do
  [ "$(readlink "/etc/slurm/$name")" = "$ROOT/$name" ] && rm -f "/etc/slurm/$name"
done
true
