#!/usr/bin/env python3
"""A parent that talks with a child interpreter through pipes, forks, runs commands and threads; until standard input closes."""
import mmap, os, select, signal, subprocess, sys, threading, time

nonce = os.urandom(4).hex()
CHILD = """
import sys
total = 0
for line in sys.stdin:
    total += int(line)
    print(total, flush=True)
sys.exit(9)
"""
child = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
shared = mmap.mmap(-1, 4096)
stop = threading.Event()
lock, counts = threading.Lock(), [0, 0]

def count(i):
    while not stop.is_set():
        with lock:
            counts[i] += 1
        stop.wait(0.001)

threads = [threading.Thread(target=count, args=(i,)) for i in range(2)]
for t in threads:
    t.start()
forked = os.fork()
if forked == 0:
    me, parent = os.getpid(), os.getppid()
    while shared[0] == 0:
        assert os.getpid() == me and os.getppid() == parent
        shared[8:16] = (int.from_bytes(shared[8:16], "little") + 1).to_bytes(8, "little")
        time.sleep(0.001)
    os._exit(11)
data = {str(i): os.urandom(16) for i in range(20000)}
check = hash(tuple(sorted(data.items())))
print("ready " + nonce, flush=True)
n = total = 0
while n < 3 or not select.select([0], [], [], 0)[0]:
    n += 1
    total += n
    child.stdin.write(f"{n}\n")
    child.stdin.flush()
    assert int(child.stdout.readline()) == total
    assert subprocess.run(["sh", "-c", f"exit {n % 50}"]).returncode == n % 50
assert hash(tuple(sorted(data.items()))) == check
while int.from_bytes(shared[8:16], "little") == 0 or not all(counts):  # each has had its turn
    time.sleep(0.001)
shared[0] = 1
assert os.waitpid(forked, 0) == (forked, 11 << 8) and int.from_bytes(shared[8:16], "little") > 0
child.stdin.close()
assert child.wait() == 9
stop.set()
for t in threads:
    t.join()
assert all(c > 0 for c in counts)
print("done " + nonce, flush=True)
