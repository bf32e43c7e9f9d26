# modules.py ROUNDS [MILLISECONDS]: a program whose MPI library comes with a module (mpi4py): objects, buffers, a window and a shared counter, checked again and again; prints "round N" at rank 0 after each and "ok" at the end.
import array
import sys
import time

from mpi4py import MPI

comm = MPI.COMM_WORLD
rank, size = comm.rank, comm.size
rounds, pause = int(sys.argv[1]), int(sys.argv[2]) / 1000 if len(sys.argv) > 2 else 0
window = MPI.Win.Allocate(8, 8, comm=comm)
counted = 0
window.Lock(rank)
window.Put(array.array("q", [0]), rank)
window.Unlock(rank)
comm.Barrier()


def check(condition, what):
    if not condition:
        print(f"rank {rank}: {what}", flush=True)
        comm.Abort(3)


for number in range(rounds):
    check(comm.allreduce(rank + number) == size * (size - 1) // 2 + size * number, "allreduce of an object")
    check(comm.allgather({"rank": rank, "text": "x" * rank}) == [{"rank": r, "text": "x" * r} for r in range(size)], "allgather of objects")
    data, total = array.array("d", [rank + i / 4 for i in range(5000)]), array.array("d", bytes(40000))
    comm.Allreduce(data, total, MPI.SUM)
    check(all(total[i] == size * (size - 1) / 2 + size * i / 4 for i in range(0, 5000, 97)), "sum of arrays")
    request = comm.isend({"round": number}, dest=(rank + 1) % size, tag=5)
    check(comm.recv(source=(rank - 1) % size, tag=5) == {"round": number}, "message")
    request.wait()
    one, before = array.array("q", [1]), array.array("q", [0])
    window.Lock(0)
    window.Fetch_and_op(one, before, 0, op=MPI.SUM)
    window.Unlock(0)
    comm.Barrier()
    counted += size
    window.Lock(0, MPI.LOCK_SHARED)
    window.Get(before, 0)
    window.Unlock(0)
    check(before[0] == counted, f"the counter is {before[0]}, not {counted}")
    comm.Barrier()
    if rank == 0:
        print("round", number, flush=True)
    time.sleep(pause)
window.Free()
if rank == 0:
    print("ok", flush=True)
