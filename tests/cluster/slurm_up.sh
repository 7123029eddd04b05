#!/usr/bin/env bash
# A real SLURM cluster on this one machine, without systemd or accounting: one controller, some nodes with fake GPUs.
#   slurm_up.sh ROOT [NODES] [CPUS]     root only; everything lives below ROOT, except two links in /etc/slurm
# The links are needed because Snakemake's job step strips SLURM_CONF from the environment before it calls srun.
set -euo pipefail
ROOT=$(realpath -m "$1"); NODES=${2:-2}; CPUS=${3:-4}
PORT=${SLURM_TEST_PORT:-26817}
HOST=$(hostname -s)
MARK=.vldistill-test-cluster

for name in slurm.conf gres.conf cgroup.conf; do
  file=/etc/slurm/$name
  [ -e "$file" ] || continue
  # a link that an earlier run left behind is ours; anything else belongs to a cluster of this machine
  if ! { [ -L "$file" ] && [ -e "$(dirname "$(readlink "$file")")/$MARK" ]; }; then
    echo "refused: $file is not of this script; this machine seems to belong to a SLURM cluster" >&2
    exit 3
  fi
done

mkdir -p "$ROOT"/{log,run,state,spool,dev,munge} /etc/slurm
touch "$ROOT/$MARK"
chmod 755 "$ROOT/munge" "$ROOT/run"
[ -s "$ROOT/munge/munge.key" ] || head -c 1024 /dev/urandom > "$ROOT/munge/munge.key"
chmod 600 "$ROOT/munge/munge.key"
munged --force --key-file="$ROOT/munge/munge.key" --socket="$ROOT/run/munge.sock" --pid-file="$ROOT/run/munged.pid" \
  --log-file="$ROOT/log/munged.log" --seed-file="$ROOT/munge/seed"

# SLURM accepts only device files as GPUs, and then sets CUDA_VISIBLE_DEVICES for each job
: > "$ROOT/gres.conf"
for node in $(seq "$NODES"); do
  for gpu in 0 1; do [ -c "$ROOT/dev/n${node}_gpu$gpu" ] || mknod "$ROOT/dev/n${node}_gpu$gpu" c 1 3; done
  echo "NodeName=n$node Name=gpu Type=fake File=$ROOT/dev/n${node}_gpu[0-1]" >> "$ROOT/gres.conf"
  mkdir -p "$ROOT/spool/n$node"
done

cat > "$ROOT/slurm.conf" <<CONF
ClusterName=vldistill
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=$PORT
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$ROOT/run/munge.sock
CredType=cred/munge
StateSaveLocation=$ROOT/state
SlurmdSpoolDir=$ROOT/spool/%n
SlurmctldPidFile=$ROOT/run/slurmctld.pid
SlurmdPidFile=$ROOT/run/slurmd.%n.pid
SlurmctldLogFile=$ROOT/log/slurmctld.log
SlurmdLogFile=$ROOT/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2,default_queue_depth=1000
AccountingStorageType=accounting_storage/none
ReturnToService=2
MinJobAge=3600
KillWait=3
SlurmdTimeout=60
MessageTimeout=30
DefMemPerCPU=512
GresTypes=gpu
NodeName=n[1-$NODES] NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$((PORT + 1))-$((PORT + NODES)) CPUs=$CPUS Sockets=1 CoresPerSocket=$CPUS ThreadsPerCore=1 RealMemory=64000 Gres=gpu:fake:2 State=UNKNOWN
PartitionName=cpu Nodes=ALL Default=YES MaxTime=1-00:00:00 State=UP
PartitionName=gpu Nodes=ALL MaxTime=1-00:00:00 State=UP
CONF
ln -sfn "$ROOT/slurm.conf" /etc/slurm/slurm.conf
ln -sfn "$ROOT/gres.conf" /etc/slurm/gres.conf

slurmctld
for node in $(seq "$NODES"); do slurmd -N "n$node"; done
for _ in $(seq 120); do
  [ "$(sinfo -h -N -p cpu -o %T 2>/dev/null | grep -c '^idle$')" = "$NODES" ] && exit 0
  sleep 0.25
done
sinfo >&2 || true
echo "the nodes did not become idle within 30 s; logs are in $ROOT/log" >&2
exit 1
