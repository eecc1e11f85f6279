#!/usr/bin/env bash
# A SLURM of two nodes on this machine, for tests:
# slurm.sh look | install | start DIR | lose DIR NODE | return DIR NODE | stop DIR
#
# Debian's slurm-wlm, as root. Everything of the cluster lies in DIR (a short path: sockets live there); clients find it by
# SLURM_CONF=DIR/slurm.conf. Each node offers two CPUs and one GPU whose device file is /dev/null. The partition
# `preemptible` gives way to `urgent`.
set -euo pipefail

# `command -v` would be content with one of them.
look() {
  type -P slurmctld slurmd munged sbatch >/dev/null && return
  echo "error: a SLURM is needed: apt-get install slurm-wlm munge, or make test-slurm INSTALL=1" >&2
  exit 2
}

install() {
  type -P slurmctld slurmd munged sbatch >/dev/null && return
  apt-get update -qq
  # A container's policy may let packages start their services: these would be another cluster.
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge >/dev/null
}

configure() {
  mkdir -p "$dir"/{state,munge,n1,n2}
  chmod 755 "$dir"
  head -c 1024 /dev/urandom >"$dir/munge/key"
  chown -R munge: "$dir/munge"
  chmod 400 "$dir/munge/key"
  local host
  host=$(hostname -s)
  cat >"$dir/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=7817
SlurmUser=root
AuthType=auth/munge
# A requeued job waits for the credentials of its last start to expire: 120 s by default.
AuthInfo=socket=$dir/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmctldPidFile=$dir/slurmctld.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdPidFile=$dir/%n/slurmd.pid
SlurmdLogFile=$dir/%n/slurmd.log
SlurmdSpoolDir=$dir/%n
# What a machine without cgroups or a database of accounts can do.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SlurmdTimeout=10
KillWait=10
JobRequeue=1
SchedulerParameters=sched_interval=2,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
NodeName=n1,n2 NodeAddr=127.0.0.1 NodeHostName=$host Port=[7821-7822] CPUs=2 Gres=gpu:1 State=UNKNOWN
PartitionName=preemptible Nodes=n1,n2 Default=YES PriorityTier=1 GraceTime=30 State=UP
PartitionName=urgent Nodes=n1,n2 PriorityTier=10 PreemptMode=OFF State=UP
CONF
  echo "NodeName=n1,n2 Name=gpu File=/dev/null" >"$dir/gres.conf"
}

start() {
  configure
  setpriv --reuid=munge --regid=munge --clear-groups munged --socket="$dir/munge/socket" --key-file="$dir/munge/key" \
    --pid-file="$dir/munge/pid" --log-file="$dir/munge/log" --seed-file="$dir/munge/seed"
  slurmctld
  node n1
  node n2
  for _ in $(seq 60); do
    [ "$(sinfo -h -N -o %T | sort | uniq -c | awk '$2 == "idle" { print $1 }')" = 4 ] && return
    sleep 0.5
  done
  echo "the nodes did not come up, the logs are in $dir" >&2
  sinfo -N >&2
  exit 1
}

node() { slurmd -N "$1"; }

# All at once, as where the power of a node fails: its daemon, the steps' own, and everything that they had started.
lose() {
  local step
  kill_tree "$(cat "$dir/$1/slurmd.pid")"
  for step in $(pgrep -x slurmstepd || true); do
    # A step's daemon works in the spool folder of its node.
    if [ "$(readlink "/proc/$step/cwd")" = "$dir/$1" ]; then kill_tree "$step"; fi
  done
}

kill_tree() {
  kill -STOP "$1" 2>/dev/null || return 0
  local child
  for child in $(pgrep -P "$1" || true); do kill_tree "$child"; done
  kill -KILL "$1" 2>/dev/null || true
}

# A dead process whose parent has not noticed yet does not count.
lives() { [ -e "/proc/$1/stat" ] && ! grep -q ') Z ' "/proc/$1/stat"; }

stop() {
  local pid
  scancel --user=root 2>/dev/null || true
  sleep 1
  for file in "$dir"/n1/slurmd.pid "$dir"/n2/slurmd.pid "$dir"/slurmctld.pid "$dir"/munge/pid; do
    [ -s "$file" ] || continue
    pid=$(cat "$file")
    kill "$pid" 2>/dev/null || continue
    for _ in $(seq 50); do lives "$pid" || break; sleep 0.1; done
    kill -KILL "$pid" 2>/dev/null || true
  done
}

command=${1:?look, install, start, lose, return or stop}
case "$command" in
  look | install) "$command"; exit ;;
esac
dir=$(realpath -m "${2:?the folder of the cluster}")
export SLURM_CONF="$dir/slurm.conf"
case "$command" in
  start) start ;;
  lose) lose "${3:?a node}" ;;
  return) node "${3:?a node}" ;;
  stop) stop ;;
  *) echo "unknown: $command" >&2; exit 2 ;;
esac
