"""A program with a terminal of its own, in a terminal; stopped, and restarted where other programs have its terminal's number.

terminals.py TRECR HOLD: starts everything. terminals.py program HOLD: the program; it goes on when the file HOLD is there."""
import os, select, subprocess, sys, time


def program(hold):
    master, slave = os.openpty()
    name = os.ttyname(slave)
    print("own", name, "end", flush=True)
    while not os.path.exists(hold):
        time.sleep(0.01)
    assert os.isatty(0) and os.ttyname(slave) == name
    os.write(slave, b"through")
    assert os.read(master, 100) == b"through"
    others = [os.openpty() for _ in range(80)]  # beyond the number of the terminal that it was given
    numbers = {os.fstat(s).st_rdev for _, s in others} | {os.fstat(slave).st_rdev}
    assert len(numbers) == 81 and os.fstat(0).st_rdev not in numbers, "a new terminal looks like the one that trecr gave"
    print("right", flush=True)


def until(master, text):
    seen, end = b"", time.monotonic() + 100
    while text not in seen:
        assert select.select([master], [], [], max(0, end - time.monotonic()))[0], (text, seen)
        seen += os.read(master, 4096)
    return seen.decode()


def main(trecr, hold):
    master, slave = os.openpty()
    run = subprocess.Popen([trecr, "run", "--job", "t", "--", sys.executable, os.path.abspath(__file__), "program", hold], stdin=slave, stdout=slave)
    own = until(master, b" end").split()[1]
    subprocess.run([trecr, "checkpoint", "t", "--stop"], check=True, stdout=subprocess.DEVNULL)
    run.wait()
    held = [os.openpty() for _ in range(40)]
    assert own in [os.ttyname(s) for _, s in held], own
    again, there = os.openpty()
    restart = subprocess.Popen([trecr, "restart", "t"], stdin=there, stdout=there)
    open(hold, "w").close()
    until(again, b"right")
    assert restart.wait() == 0
    print("done")


if sys.argv[1] == "program":
    program(sys.argv[2])
else:
    main(sys.argv[1], sys.argv[2])
