#!/bin/sh
# slurm.sh ROOT: becomes a cluster of one node below Slurm, in new namespaces (network, name, processes, mounts): munged, slurmctld and slurmd with all that is theirs in ROOT/slurm. Says "ready" when there is job 1, in which
# srun then starts steps (SLURM_JOB_ID), as a batch script does. Its end is the end of the cluster
# and of everything on it; started again, it is the same cluster.
set -e
hostname node
mount --make-rprivate /
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mkdir -p "$1/slurm/state" "$1/slurm/spool" "$1/slurm/tmp"
cd "$1/slurm"
# With nothing but loopback addresses getaddrinfo finds no name (AI_ADDRCONFIG).
printf '%s\n' "127.0.0.1 localhost" "10.99.0.1 node" >hosts
mount --bind hosts /etc/hosts
ip link set lo up
ip address add 10.99.0.1/32 dev lo
[ -e key ] || mungekey --create --keyfile "$PWD/key"
# Steps are told apart by process groups, as control groups are not to be had everywhere: signals go to the processes that srun started, as with control groups. There are more processors than there are.
cat >slurm.conf <<TEXT
ClusterName=trecr
SlurmctldHost=node
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$PWD/munge
StateSaveLocation=$PWD/state
SlurmdSpoolDir=$PWD/spool
TmpFS=$PWD/tmp
SlurmctldPidFile=$PWD/slurmctld.pid
SlurmdPidFile=$PWD/slurmd.pid
SlurmctldLogFile=$PWD/slurmctld.log
SlurmdLogFile=$PWD/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
ReturnToService=2
MpiDefault=none
NodeName=node CPUs=16 State=UNKNOWN
PartitionName=all Nodes=node Default=YES MaxTime=INFINITE State=UP
TEXT
export SLURM_CONF="$PWD/slurm.conf"
rm -f munge munge.lock
munged --force --foreground --key-file "$PWD/key" --socket "$PWD/munge" --log-file "$PWD/munged.log" --pid-file "$PWD/munged.pid" --seed-file "$PWD/seed" &
until [ -S munge ]; do sleep 0.05; done
slurmctld -D >slurmctld.out 2>&1 &
slurmd -D >slurmd.out 2>&1 &
# Waits for the node, where there is a controller to ask.
until salloc --quiet --no-shell --ntasks=16 2>salloc.out; do sleep 0.1; done
echo ready
while :; do wait; sleep 1; done
