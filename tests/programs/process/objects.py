#!/usr/bin/python3
"""Holds one kind of kernel object, works with it until standard input closes, checks it at every step: objects.py CASE.

A case is a generator: up to its first yield it sets up; each yield that gives True asks for one more unit of work, one that gives False for the last check.
TRECR_STARTS names a file outside the job that gets one byte at every start."""
import array, ctypes, errno, fcntl, mmap, os, resource, select, signal, socket, struct, sys, tempfile, termios, threading, time

libc = ctypes.CDLL(None, use_errno=True)
HERE = tempfile.mkdtemp(prefix="trecr-objects-")
NAME = os.path.basename(HERE)  # what several runs at a time share is named by it: pids are those of a namespace


def call(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def path(name):
    return os.path.join(HERE, name)


def flags(fd):
    return fcntl.fcntl(fd, fcntl.F_GETFL)


def files():
    """Offset shared by dup, append, read-only, directory, devices, O_PATH, flags, cwd and umask."""
    data = os.urandom(1 << 16)
    with open(path("data"), "wb") as f:
        f.write(data)
    a = os.open(path("data"), os.O_RDONLY)
    b = os.dup(a)
    os.set_inheritable(b, True)
    other = os.open(path("data"), os.O_RDONLY)
    log = os.open(path("log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600)
    directory = os.open(HERE, os.O_RDONLY | os.O_DIRECTORY)
    handle = os.open(path("data"), os.O_PATH)
    null, zero, full, random = (os.open("/dev/" + n, os.O_RDWR) for n in ("null", "zero", "full", "urandom"))
    os.chdir(HERE)
    os.umask(0o027)
    at = lines = 0
    while (yield):
        n = 1 + at % 7
        assert os.read(a if at % 2 else b, n) == data[at:at + n], "shared offset"
        at += n
        if at > len(data) - 16:
            at = os.lseek(b, 0, os.SEEK_SET)
        assert os.lseek(other, 0, os.SEEK_CUR) == 0, "another open of the same file has its own offset"
        assert os.write(log, b"%08d\n" % lines) == 9
        lines += 1
        assert os.read(zero, 4) == b"\0\0\0\0" and os.read(null, 4) == b"" and len(os.read(random, 8)) == 8
        try:
            os.write(full, b"x")
            raise AssertionError("/dev/full took a byte")
        except OSError as e:
            assert e.errno == errno.ENOSPC
    assert sorted(os.listdir(directory)) == ["data", "log"]
    assert os.fstat(handle).st_ino == os.stat("data").st_ino and flags(handle) & os.O_PATH
    assert flags(log) & (os.O_APPEND | os.O_NONBLOCK) == os.O_APPEND | os.O_NONBLOCK
    assert not os.get_inheritable(a) and os.get_inheritable(b)
    assert os.umask(0) == 0o027 and os.getcwd() == HERE
    with open("log") as f:
        assert [int(l) for l in f] == list(range(lines))


def deleted():
    """Deleted while open, by two opens, mapped; O_TMPFILE; deleted shared memory that is only mapped; holes."""
    a = os.open(path("gone"), os.O_RDWR | os.O_CREAT, 0o640)
    b = os.open(path("gone"), os.O_RDONLY)
    os.unlink(path("gone"))
    os.pwrite(a, b"end of the hole", 9 << 20)
    view = mmap.mmap(a, 1 << 20)
    temporary = os.open(HERE, os.O_TMPFILE | os.O_RDWR, 0o600)
    os.write(temporary, b"temporary")
    shm = "/dev/shm/" + NAME
    s = os.open(shm, os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(s, 1 << 16)
    only = mmap.mmap(s, 1 << 16)
    os.close(s)
    os.unlink(shm)
    n = 0
    while (yield):
        word = struct.pack("<Q", n)
        assert os.pwrite(a, word, (n % 1000) * 8) == 8
        assert os.pread(b, 8, (n % 1000) * 8) == word and view[(n % 1000) * 8:(n % 1000) * 8 + 8] == word, "one file"
        only[(n % 1000) * 8:(n % 1000) * 8 + 8] = word
        n += 1
    for i in range(max(0, n - 1000), n):
        assert struct.unpack_from("<Q", view, (i % 1000) * 8)[0] == i == struct.unpack_from("<Q", only, (i % 1000) * 8)[0]
    st = os.fstat(a)
    assert st.st_nlink == 0 and st.st_mode & 0o777 == 0o640 and st.st_size == (9 << 20) + 15, st
    assert os.pread(b, 15, 9 << 20) == b"end of the hole" and st.st_blocks * 512 < 2 << 20, "holes stay holes"
    assert os.lseek(temporary, 0, os.SEEK_CUR) == 9 and os.pread(temporary, 9, 0) == b"temporary"
    AT_FDCWD, AT_SYMLINK_FOLLOW = -100, 0x400
    call(libc.linkat(AT_FDCWD, b"/proc/self/fd/%d" % temporary, AT_FDCWD, path("linked").encode(), AT_SYMLINK_FOLLOW))
    with open(path("linked")) as f:
        assert f.read() == "temporary", "a file of O_TMPFILE can be given a name"


def memory():
    """memfd with seals, mapped and not, privately mapped; named shared memory."""
    grow = os.memfd_create("trecr grows")
    sealed = os.memfd_create("trecr sealed", os.MFD_ALLOW_SEALING)
    os.write(sealed, b"sealed" * 1000)
    fcntl.fcntl(sealed, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    private = mmap.mmap(sealed, 6000, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    private[100:105] = b"mine!"
    name = "/dev/shm/%s-named" % NAME
    s = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(s, 1 << 16)
    shared = mmap.mmap(s, 1 << 16)
    n = 0
    while (yield):
        os.write(grow, struct.pack("<Q", n))
        shared[n % 8192 * 8:n % 8192 * 8 + 8] = struct.pack("<Q", n)
        n += 1
    assert os.fstat(grow).st_size == 8 * n and struct.unpack("<Q", os.pread(grow, 8, 8 * (n - 1)))[0] == n - 1
    assert fcntl.fcntl(sealed, fcntl.F_GET_SEALS) == fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
    assert os.lseek(sealed, 0, os.SEEK_CUR) == 6000
    assert private[:6] == b"sealed" and private[100:105] == b"mine!" and private[5994:6000] == b"sealed"
    with open(name, "rb") as f:
        f.seek((n - 1) % 8192 * 8)
        assert struct.unpack("<Q", f.read(8))[0] == n - 1 and struct.unpack("<Q", shared[(n - 1) % 8192 * 8:(n - 1) % 8192 * 8 + 8])[0] == n - 1
    os.unlink(name)
    try:
        os.write(sealed, b"x")
        raise AssertionError("a sealed file was written")
    except PermissionError:
        pass


def fifo():
    """A named pipe with bytes in it, non-blocking ends, and one whose writers have gone."""
    os.mkfifo(path("pipe"))
    os.mkfifo(path("ended"))
    r = os.open(path("pipe"), os.O_RDONLY | os.O_NONBLOCK)
    w = os.open(path("pipe"), os.O_WRONLY)
    ended = os.open(path("ended"), os.O_RDONLY | os.O_NONBLOCK)
    os.close(os.open(path("ended"), os.O_WRONLY))
    first = last = 0
    while (yield):
        while last - first < 100:
            os.write(w, struct.pack("<I", last))
            last += 1
        for _ in range(10):
            assert struct.unpack("<I", os.read(r, 4))[0] == first
            first += 1
    assert len(os.read(r, 100000)) == 4 * (last - first)
    try:
        os.read(r, 1)
        raise AssertionError("more bytes than were written")
    except BlockingIOError:
        pass
    assert flags(r) & os.O_NONBLOCK and not flags(w) & os.O_NONBLOCK and os.read(ended, 1) == b""
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    assert poll.poll(0) == [(ended, select.POLLHUP)]


def locks():
    """flock, OFD and POSIX locks; each is looked for through another open of the file."""
    with open(path("file"), "w") as f:
        f.write("x" * 1000)
    one, two, probe = (os.open(path("file"), os.O_RDWR) for _ in range(3))
    fcntl.flock(one, fcntl.LOCK_EX)
    OFD_GETLK, OFD_SETLK = 36, 37

    def record(kind, start, length):
        return struct.pack("hhqqi4x", kind, os.SEEK_SET, start, length, 0)
    fcntl.fcntl(two, OFD_SETLK, record(fcntl.F_RDLCK, 100, 50))
    fcntl.lockf(one, fcntl.LOCK_EX, 20, 10)
    n = 0
    while (yield):
        n += 1
        try:
            fcntl.flock(probe, fcntl.LOCK_SH | fcntl.LOCK_NB)
            raise AssertionError("flock is gone")
        except BlockingIOError:
            pass
        kind, _, start, length, pid = struct.unpack("hhqqi4x", fcntl.fcntl(probe, OFD_GETLK, record(fcntl.F_WRLCK, 0, 50)))
        assert (kind, start, length, pid) == (fcntl.F_WRLCK, 10, 20, os.getpid()), ("POSIX", kind, start, length, pid)
        kind, _, start, length, pid = struct.unpack("hhqqi4x", fcntl.fcntl(probe, OFD_GETLK, record(fcntl.F_WRLCK, 60, 0)))
        assert (kind, start, length, pid) == (fcntl.F_RDLCK, 100, 50, -1), ("OFD", kind, start, length, pid)
        assert struct.unpack("hhqqi4x", fcntl.fcntl(probe, OFD_GETLK, record(fcntl.F_WRLCK, 150, 0)))[0] == fcntl.F_UNLCK


def notify(queued=False):
    """inotify: watches on a directory and a file, numbers that are not the first."""
    with open(path("watched"), "w") as f:
        f.write("0")
    IN_MODIFY, IN_CREATE, IN_DELETE, IN_Q_OVERFLOW, IN_IGNORED = 2, 0x100, 0x200, 0x4000, 0x8000
    fd = call(libc.inotify_init1(os.O_NONBLOCK))
    for _ in range(3):
        libc.inotify_rm_watch(fd, call(libc.inotify_add_watch(fd, b"/tmp", IN_CREATE)))
    directory = call(libc.inotify_add_watch(fd, HERE.encode(), IN_CREATE | IN_DELETE))
    file = call(libc.inotify_add_watch(fd, path("watched").encode(), IN_MODIFY))
    assert (directory, file) == (4, 5)
    os.read(fd, 4096)

    def events():
        result = []
        try:
            data = os.read(fd, 1 << 20)
        except BlockingIOError:
            return result
        while data:
            wd, mask, _, length = struct.unpack_from("iIII", data)
            result.append((wd, mask, data[16:16 + length].rstrip(b"\0").decode()))
            data = data[16 + length:]
        return result
    if queued:
        os.close(os.open(path("early"), os.O_CREAT | os.O_WRONLY, 0o600))
        while (yield):
            pass
        seen = events()
        assert seen in ([(4, IN_CREATE, "early")], [(-1, IN_Q_OVERFLOW, "")]), seen
        print("events: " + ("overflow" if seen[0][0] < 0 else "kept"))
    n = 0
    while queued and n < 20 or not queued and (yield):
        n += 1
        os.close(os.open(path("new%d" % n), os.O_CREAT | os.O_WRONLY, 0o600))
        os.unlink(path("new%d" % n))
        with open(path("watched"), "w") as f:
            f.write(str(n))
        seen = events()
        if (-1, IN_Q_OVERFLOW, "") in seen:
            continue  # stopped between the change and the look
        assert seen[:2] == [(4, IN_CREATE, "new%d" % n), (4, IN_DELETE, "new%d" % n)], seen
        assert seen[2:] in ([(5, IN_MODIFY, "")], [(5, IN_MODIFY, "")] * 2), seen
    assert call(libc.inotify_add_watch(fd, path("watched").encode(), IN_MODIFY)) == 5


def queued():
    """Events that nobody has read at the checkpoint: kept, or one IN_Q_OVERFLOW."""
    yield from notify(queued=True)


def epoll():
    """eventfd, semaphores; epoll level and edge triggered, one-shot, nested, on a number that was closed since."""
    counter = os.eventfd(0, os.EFD_NONBLOCK)
    semaphore = os.eventfd(5, os.EFD_SEMAPHORE | os.EFD_NONBLOCK)
    big = os.eventfd(0)
    os.eventfd_write(big, 1 << 40)
    inner, outer = select.epoll(), select.epoll()
    inner.register(counter, select.EPOLLIN)
    outer.register(inner.fileno(), select.EPOLLIN)
    r, w = os.pipe()
    once = select.epoll()
    once.register(r, select.EPOLLIN | select.EPOLLONESHOT)
    os.write(w, b"x")
    assert once.poll(1) == [(r, select.EPOLLIN)] and once.poll(0) == []
    kept = os.dup(r)
    stale = select.epoll()
    stale.register(r, select.EPOLLIN | select.EPOLLET)
    number = r
    os.close(r)
    reuse = os.open("/dev/null", os.O_RDONLY)
    assert reuse == number and stale.poll(1) == [(number, select.EPOLLIN)]
    total = 0
    while (yield):
        os.eventfd_write(counter, 3)
        assert [f for f, _ in outer.poll(1)] == [inner.fileno()] and inner.poll(1) == [(counter, select.EPOLLIN)]
        assert os.eventfd_read(counter) == 3 and outer.poll(0) == []
        assert os.eventfd_read(semaphore) == 1
        os.eventfd_write(semaphore, 1)
        total += 3
        os.write(w, b"y")
        assert stale.poll(1) == [(number, select.EPOLLIN)], "edge on a description that has another number now"
        os.read(kept, 1)
    for _ in range(5):
        assert os.eventfd_read(semaphore) == 1
    assert os.eventfd_read(big) == 1 << 40
    assert once.poll(0) == [], "a one-shot that has fired stays off"
    assert os.read(reuse, 1) == b""


class Spec(ctypes.Structure):
    _fields_ = [("interval_s", ctypes.c_long), ("interval_ns", ctypes.c_long), ("value_s", ctypes.c_long), ("value_ns", ctypes.c_long)]


def timers():
    """timerfd: periodic, one far ahead, one of the wall clock, one that has fired; signalfd with a signal waiting; pidfds."""
    def timer(clock, value, interval=0.0, flags=0):
        fd = call(libc.timerfd_create(clock, os.O_NONBLOCK))
        spec = Spec(int(interval), int(interval % 1 * 1e9), int(value), int(value % 1 * 1e9))
        call(libc.timerfd_settime(fd, flags, ctypes.byref(spec), None))
        return fd

    def left(fd):
        spec = Spec()
        call(libc.timerfd_gettime(fd, ctypes.byref(spec)))
        return spec.value_s + spec.value_ns / 1e9
    started = time.monotonic()
    periodic = timer(time.CLOCK_MONOTONIC, 0.002, 0.002)
    far = timer(time.CLOCK_MONOTONIC, 1000.0)
    absolute = timer(time.CLOCK_BOOTTIME, time.clock_gettime(time.CLOCK_BOOTTIME) + 2000, flags=1)
    deadline = time.time() + 3000
    wall = timer(time.CLOCK_REALTIME, deadline, flags=1)
    fired = timer(time.CLOCK_MONOTONIC, 0.0001)
    select.select([fired], [], [])
    off = timer(time.CLOCK_MONOTONIC, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGUSR2])
    mask = ctypes.c_ulonglong(1 << signal.SIGUSR1 - 1 | 1 << signal.SIGUSR2 - 1)
    signals = call(libc.signalfd(-1, ctypes.byref(mask), os.O_NONBLOCK))
    os.kill(os.getpid(), signal.SIGUSR2)
    own = os.pidfd_open(os.getpid())
    child = os.fork()
    if child == 0:
        os._exit(3)
    gone = os.pidfd_open(child)
    os.waitpid(child, 0)
    ticks = n = 0
    while (yield):
        if select.select([periodic], [], [], 60)[0]:
            ticks += struct.unpack("<Q", os.read(periodic, 8))[0]
        n += 1
        os.kill(os.getpid(), signal.SIGUSR1)
        seen = [struct.unpack_from("I", os.read(signals, 128))[0]]
        if seen == [signal.SIGUSR2]:
            raise AssertionError("the waiting signal came before a lower one")
        assert seen == [signal.SIGUSR1]
    elapsed = time.monotonic() - started
    assert n <= ticks <= elapsed / 0.002 + 1, (n, ticks, elapsed)
    assert abs(1000 - elapsed - left(far)) < 60 and abs(2000 - elapsed - left(absolute)) < 60, (elapsed, left(far), left(absolute))
    before, rest, after = time.time(), left(wall), time.time()
    assert deadline - after - 0.5 < rest < deadline - before + 0.5, "a time of the wall clock stays that time"
    assert struct.unpack("<Q", os.read(fired, 8))[0] == 1 and left(off) == 0
    assert struct.unpack_from("I", os.read(signals, 128))[0] == signal.SIGUSR2, "the waiting signal"
    signal.pidfd_send_signal(own, 0)
    try:
        signal.pidfd_send_signal(gone, 0)
        raise AssertionError("a reaped process took a signal")
    except ProcessLookupError:
        pass
    poll = select.poll()
    poll.register(gone, select.POLLIN)
    assert poll.poll(0) and poll.poll(0)[0][1] & select.POLLIN


class Flow:
    """A direction of a connection: numbers go in at one end and come out at the other, a hundred under way at every moment."""

    def __init__(self, sender, receiver, kept=100):
        self.sender, self.receiver, self.kept, self.first, self.last = sender, receiver, kept, 0, 0

    def unit(self):
        while self.last - self.first < self.kept:
            assert self.sender.send(struct.pack("<Q", self.last)) == 8
            self.last += 1
        for _ in range(min(10, self.kept)):
            self.take()

    def take(self):
        data = self.receiver.recv(8, socket.MSG_WAITALL)
        assert len(data) == 8 and struct.unpack("<Q", data)[0] == self.first, (data, self.first)
        self.first += 1

    def drain(self):
        while self.first < self.last:
            self.take()
        self.receiver.setblocking(False)
        try:
            assert not self.receiver.recv(1), "more than was sent"
        except BlockingIOError:
            pass


def unix():
    """Pairs of all types with data both ways; path and abstract names, accepted and not; datagrams with their senders; ends that are shut or closed."""
    pairs = [socket.socketpair(socket.AF_UNIX, t) for t in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM)]
    flows = [f for a, b in pairs for f in (Flow(a, b, 5), Flow(b, a, 5))]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path("listener"))
    os.chmod(path("listener"), 0o620)
    listener.listen(7)
    client = socket.socket(socket.AF_UNIX)
    client.connect(path("listener"))
    server, _ = listener.accept()
    abstract = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    abstract.bind(b"\0" + NAME.encode())
    abstract.listen(3)
    other = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    other.connect(abstract.getsockname())
    accepted, _ = abstract.accept()
    flows += [Flow(client, server), Flow(server, client), Flow(other, accepted, 20)]
    waiting = [socket.socket(socket.AF_UNIX) for _ in range(2)]
    for w in waiting:
        w.connect(path("listener"))
    os.chdir(HERE)
    inbox, outbox = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
    inbox.bind(path("inbox"))
    outbox.bind("outbox")
    outbox.sendto(b"first", path("inbox"))
    outbox.sendto(b"second", path("inbox"))
    outbox.connect(path("inbox"))
    gone, rest = socket.socketpair()
    gone.send(b"last words")
    gone.close()
    half, still = socket.socketpair()
    half.send(b"half")
    half.shutdown(socket.SHUT_WR)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 50000)
    client.settimeout(None)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 77, 0))
    nameless = socket.socket(socket.AF_UNIX)
    nameless.bind(path("nameless"))
    os.unlink(path("nameless"))
    n = 0
    while (yield):
        for f in flows:
            f.unit()
        still.send(b"x")
        assert half.recv(1) == b"x"
        n += 1
    for f in flows:
        f.drain()
    assert client.getpeername() == path("listener") == server.getsockname() == listener.getsockname() and client.getsockname() == ""
    assert other.getpeername() == abstract.getsockname() == b"\0" + NAME.encode()
    assert inbox.recvfrom(100) == (b"first", "outbox") and inbox.recvfrom(100) == (b"second", "outbox")
    outbox.send(b"connected")
    assert inbox.recvfrom(100) == (b"connected", "outbox") and outbox.getpeername() == path("inbox")
    assert rest.recv(100) == b"last words" and rest.recv(100) == b""
    assert still.recv(100) == b"half" and still.recv(100) == b""
    assert server.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 100000
    assert struct.unpack("ll", client.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)) == (77, 0)
    assert nameless.getsockname() == path("nameless") and not os.path.exists(path("nameless")) and os.stat(path("listener")).st_mode & 0o777 == 0o620
    for w in waiting:
        w.send(b"%d" % w.fileno())
        assert listener.accept()[0].recv(100) == b"%d" % w.fileno(), "in their old order"
    fresh = socket.socket(socket.AF_UNIX)
    fresh.connect(path("listener"))
    listener.accept()[0].send(b"new")
    assert fresh.recv(3) == b"new"


def passing():
    """Descriptors in a message that nobody has received: a pipe's write end that is nowhere else, a file, the other socket itself."""
    a, b = socket.socketpair()
    r, w = os.pipe()
    file = os.open(path("file"), os.O_RDWR | os.O_CREAT, 0o600)
    os.write(file, b"0123456789")
    os.lseek(file, 3, os.SEEK_SET)
    socket.send_fds(a, [b"take"], [w, file])
    os.close(w)
    a.send(b"plain")
    c, d = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    socket.send_fds(c, [b"pair"], [d.fileno()])
    n = 0
    while (yield):
        if n < 100:  # more would fill the queue, and it would wait for itself
            a.send(b"%06d" % n)
            n += 1
    data, fds, _, _ = socket.recv_fds(b, 4, 4)
    assert data == b"take" and len(fds) == 2
    os.write(fds[0], b"through the message")
    os.close(fds[0])
    assert os.read(r, 100) == b"through the message" and os.read(r, 1) == b""
    assert os.read(fds[1], 2) == b"34" and os.lseek(file, 0, os.SEEK_CUR) == 5
    assert b.recv(5, socket.MSG_WAITALL) == b"plain"
    for i in range(n):
        assert b.recv(6, socket.MSG_WAITALL) == b"%06d" % i
    data, fds, _, _ = socket.recv_fds(d, 4, 1)
    assert data == b"pair" and len(fds) == 1
    c.send(b"again")
    assert socket.socket(fileno=fds[0]).recv(10) == b"again"


def tcp():
    """Connections of the program with itself, IPv4 and IPv6, with data both ways; listening, accepted and not; shut and closed ends; options."""
    flows, kept = [], []
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        listener = socket.socket(family)
        listener.bind((address, 0))
        listener.listen(9)
        clients = [socket.socket(family) for _ in range(4)]
        servers = []
        for c in clients:
            c.connect(listener.getsockname())
            servers.append(listener.accept()[0])
        names = [(c.getsockname(), c.getpeername()) for c in clients]
        clients[0].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        servers[0].setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        servers[0].setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 123)
        flows += [Flow(clients[0], servers[0]), Flow(servers[0], clients[0])]
        clients[1].send(b"half")
        clients[1].shutdown(socket.SHUT_WR)
        servers[2].send(b"last words")
        servers[2].close()
        if family == socket.AF_INET6:
            servers[3].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 40_000)
        big = os.urandom(2_000_000)  # most of it waits at the sender, for room that nobody makes
        clients[3].sendall(big)
        waiting = socket.socket(family)
        waiting.connect(listener.getsockname())
        kept.append((listener, clients, servers, names, big, waiting))
    with open(path("ports"), "w") as f:
        f.write("".join(f"{name[0]} {name[1]}\n" for _, clients, _, _, _, waiting in kept for name in [c.getsockname() for c in clients + [waiting]]))
    alone = socket.socket()
    alone.bind(("127.0.0.1", 0))
    n = 0
    while (yield):
        for f in flows:
            f.unit()
        for _, clients, servers, _, _, _ in kept:
            servers[1].send(b"x")
            assert clients[1].recv(1) == b"x"
        n += 1
    for f in flows:
        f.drain()
    for listener, clients, servers, names, big, waiting in kept:
        assert names == [(c.getsockname(), c.getpeername()) for c in clients]
        assert servers[0].getsockname() == clients[0].getpeername() and servers[0].getpeername() == clients[0].getsockname()
        assert servers[1].recv(100) == b"half" and servers[1].recv(100) == b""
        assert clients[2].recv(100) == b"last words" and clients[2].recv(100) == b""
        assert servers[3].getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == 1
        if servers[3].family == socket.AF_INET6:
            assert servers[3].getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 80_000
        assert servers[3].recv(len(big), socket.MSG_WAITALL) == big
        assert clients[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) and not servers[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert servers[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) and servers[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 123
        assert not clients[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        accepted, peer = listener.accept()
        assert peer == waiting.getsockname()
        waiting.send(b"accepted")
        assert accepted.recv(100) == b"accepted"
        fresh = socket.create_connection(listener.getsockname()[:2])
        listener.accept()[0].send(b"new")
        assert fresh.recv(3) == b"new"
    alone.listen()
    socket.create_connection(alone.getsockname()).close()


def moments():
    """What lasts a moment only, and is nearly always there: a netlink socket that a question opens, the second of two short messages (Nagle's algorithm)."""
    listener = socket.create_server(("127.0.0.1", 0))
    writer = socket.create_connection(listener.getsockname())
    reader = listener.accept()[0]
    going, count = True, 0

    def ask():
        while going:
            assert "lo" in [name for _, name in socket.if_nameindex()]
            time.sleep(0.001)
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    while (yield):
        reader.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        for part in (b"a", b"b"):
            writer.send(part * 36 + struct.pack("<Q", count))
        got = b""
        while len(got) < 88:  # not MSG_WAITALL: a stop ends that wait with what has come, as a signal does
            got += reader.recv(88 - len(got))
        assert got == b"a" * 36 + struct.pack("<Q", count) + b"b" * 36 + struct.pack("<Q", count)
        count += 1
    going = False
    thread.join()
    assert not writer.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), "as the program left it"


def udp():
    """Bound and connected, datagrams that nobody has received, with their senders."""
    a, b, c = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3))
    a.bind(("127.0.0.1", 0))
    b.bind(("127.0.0.1", 0))
    c.connect(a.getsockname())
    six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    six.bind(("::1", 0))
    six.sendto(b"to itself", six.getsockname())
    names = [s.getsockname() for s in (a, b, c, six)]
    b.sendto(b"one", a.getsockname())
    select.select([a], [], [])  # the loopback device has a queue for each processor
    c.send(b"two")
    n = 0
    while (yield):
        n += 1
        a.sendto(b"%d" % n, b.getsockname())
        assert b.recvfrom(100) == (b"%d" % n, a.getsockname())
    assert names == [s.getsockname() for s in (a, b, c, six)] and c.getpeername() == a.getsockname()
    assert a.recvfrom(100) == (b"one", b.getsockname()) and a.recvfrom(100) == (b"two", c.getsockname())
    assert six.recvfrom(100)[0] == b"to itself"
    a.sendto(b"answer", c.getsockname())
    assert c.recv(100) == b"answer"


def terminal():
    """A pseudo terminal with a shell with job control in it; settings, window size, input that nobody has read and output that nobody has seen."""
    import pty, tty
    master, slave = os.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
    tty.setraw(slave)
    raw = termios.tcgetattr(slave)
    name = os.ttyname(slave)
    os.write(master, b"typed")
    os.write(slave, b"shown")
    lines, lined = os.openpty()
    os.write(lines, b"a whole line\na part of o")
    assert os.read(lines, 100)
    child, shell = pty.fork()
    if child == 0:
        os.environ["PS1"] = "$ "
        os.execv("/bin/bash", ["bash", "--norc", "-i"])

    def until(text):
        seen = b""
        while text not in seen:
            assert select.select([shell], [], [], 60)[0], (text, seen)
            seen += os.read(shell, 4096)
        return seen
    until(b"$ ")
    os.write(shell, b"stty -echo; echo mark:$$:$(tty)\n")
    first = until(b"mark:%d:" % child)
    os.write(shell, b"x=0; sleep 1000 &\n")
    n = 0
    while (yield):
        n += 1
        os.write(shell, b"x=$((x+1)); echo n:$x:\n")
        until(b"n:%d:" % n)
    os.write(shell, b"jobs -r; echo jobs:%d\n" % n)
    assert b"sleep 1000" in until(b"jobs:%d" % n)
    os.write(shell, b"sleep 500\n")
    # Until sleep itself runs there, its process is a copy of the shell, which ignores the key.
    end = time.monotonic() + 60
    while running(os.tcgetpgrp(shell)) != "sleep" and time.monotonic() < end:
        select.select([], [], [], 0.01)
    os.write(shell, b"\x1a")
    until(b"Stopped")
    # "wait" waits for no job that is stopped, and "exit" refuses while there is one.
    os.write(shell, b"kill -CONT %2; kill %1 %2; wait; echo over:$(stty size):\n")
    until(b"over:")
    os.write(shell, b"exit 7\n")
    status = os.waitpid(child, 0)[1]
    assert os.WEXITSTATUS(status) == 7, status
    assert os.read(slave, 100) == b"typed" and os.read(master, 100) == b"shown"
    assert termios.tcgetattr(slave) == raw and os.ttyname(slave) == name
    assert struct.unpack("HHHH", fcntl.ioctl(slave, termios.TIOCGWINSZ, bytes(8)))[:2] == (33, 99)
    assert os.read(lined, 100) == b"a whole line\n"
    assert not select.select([lined], [], [], 0)[0], "the line is not complete"
    os.write(lines, b"ne\n")
    assert os.read(lined, 100) == b"a part of one\n"


def running(pid):
    """What program a process runs; it may just have ended."""
    try:
        with open("/proc/%d/comm" % pid) as f:
            return f.read().strip()
    except OSError:
        return ""


def ipc():
    """System V shared memory (one segment removed while attached), semaphores and messages; POSIX message queues, one of them unlinked."""
    libc.shmat.restype = ctypes.c_void_p
    libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
    IPC_PRIVATE, IPC_CREAT, IPC_RMID, IPC_NOWAIT, SETVAL, GETVAL, SHM_RDONLY = 0, 0o1000, 0, 0o4000, 16, 12, 0o10000
    spare = call(libc.shmget(IPC_PRIVATE, 1, 0o600))
    libc.shmctl(spare, IPC_RMID, None)  # numbers do not begin at 0
    segment, removed = call(libc.shmget(0x7ec12, 100_000, IPC_CREAT | 0o640)), call(libc.shmget(IPC_PRIVATE, 8192, 0o600))
    def view(id, flags, size):
        at = libc.shmat(id, None, flags)
        assert at not in (None, ctypes.c_void_p(-1).value)
        return (ctypes.c_char * size).from_address(at)
    a, b, gone = view(segment, 0, 100_000), view(segment, SHM_RDONLY, 100_000), view(removed, 0, 8192)
    libc.shmctl(removed, IPC_RMID, None)
    semaphores = call(libc.semget(IPC_PRIVATE, 3, 0o600))
    libc.semctl(semaphores, 1, SETVAL, 42)
    queue = call(libc.msgget(0x7ec13, IPC_CREAT | 0o600))

    def put(kind, data):
        call(libc.msgsnd(queue, struct.pack("l", kind) + data, len(data), IPC_NOWAIT))

    def get(kind):
        buffer = ctypes.create_string_buffer(200)
        n = call(libc.msgrcv(queue, buffer, 192, kind, IPC_NOWAIT))
        return struct.unpack_from("l", buffer)[0], buffer.raw[8:8 + n]
    put(5, b"five")
    put(2, b"two")

    class Attributes(ctypes.Structure):
        _fields_ = [("flags", ctypes.c_long), ("most", ctypes.c_long), ("size", ctypes.c_long), ("now", ctypes.c_long), ("rest", ctypes.c_long * 4)]

    def mq(name):
        return call(libc.mq_open(name, os.O_CREAT | os.O_RDWR | os.O_NONBLOCK, 0o600, ctypes.byref(Attributes(0, 8, 64))))
    named, hidden = mq(b"/" + NAME.encode()), mq(b"/hidden-" + NAME.encode())
    again = call(libc.mq_open(b"/hidden-" + NAME.encode(), os.O_RDONLY))
    libc.mq_unlink(b"/hidden-" + NAME.encode())
    for data, priority in ((b"low", 1), (b"high", 9), (b"low too", 1)):
        call(libc.mq_send(hidden, data, len(data), priority))

    def receive(q):
        buffer, priority = ctypes.create_string_buffer(64), ctypes.c_uint()
        n = call(libc.mq_receive(q, buffer, 64, ctypes.byref(priority)))
        return buffer.raw[:n], priority.value
    n = 0
    while (yield):
        struct.pack_into("<Q", a, n % 12000 * 8, n)
        struct.pack_into("<Q", gone, n % 1000 * 8, n)
        assert struct.unpack_from("<Q", b, n % 12000 * 8)[0] == n, "one segment at two places"
        call(libc.mq_send(named, b"%d" % n, len(b"%d" % n), 3))
        assert receive(named) == (b"%d" % n, 3)
        n += 1
    for i in range(max(0, n - 1000), n):
        assert struct.unpack_from("<Q", a, i % 12000 * 8)[0] == i == struct.unpack_from("<Q", gone, i % 1000 * 8)[0]
    assert call(libc.shmget(0x7ec12, 1, 0)) == segment and libc.semctl(semaphores, 1, GETVAL, 0) == 42 and libc.semctl(semaphores, 2, GETVAL, 0) == 0
    assert libc.shmget(removed, 1, 0) < 0
    assert get(2) == (2, b"two") and get(0) == (5, b"five") and libc.msgrcv(queue, ctypes.create_string_buffer(200), 192, 0, IPC_NOWAIT) < 0
    assert [receive(again) for _ in range(3)] == [(b"high", 9), (b"low", 1), (b"low too", 1)]
    assert call(libc.mq_open(b"/" + NAME.encode(), os.O_RDWR)) >= 0 and libc.mq_open(b"/hidden-" + NAME.encode(), os.O_RDWR) < 0
    for id, remove in ((segment, libc.shmctl), (queue, libc.msgctl)):
        remove(id, IPC_RMID, None)
    libc.semctl(semaphores, 0, IPC_RMID)
    libc.mq_unlink(b"/" + NAME.encode())


def posixtimers():
    """timer_create: numbers with gaps, a periodic one that sends a signal with a value, one for a thread, one far ahead that sends none, one that is off."""
    SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD_ID = 0, 1, 4
    TIMER_CREATE, TIMER_SETTIME, TIMER_GETTIME, TIMER_DELETE = 222, 223, 224, 226

    def create(clock, notify, number=0, value=0, tid=0):
        event = ctypes.create_string_buffer(struct.pack("Qiii", value, number, notify, tid), 64)
        timer = ctypes.c_int()
        call(libc.syscall(TIMER_CREATE, clock, event, ctypes.byref(timer)))
        return timer.value

    def start(timer, value, interval=0.0):
        spec = Spec(int(interval), int(interval % 1 * 1e9), int(value), int(value % 1 * 1e9))
        call(libc.syscall(TIMER_SETTIME, timer, 0, ctypes.byref(spec), None))

    def left(timer):
        spec = Spec()
        call(libc.syscall(TIMER_GETTIME, timer, ctypes.byref(spec)))
        return spec.value_s + spec.value_ns / 1e9, spec.interval_s + spec.interval_ns / 1e9
    signals = [signal.SIGRTMIN + 1, signal.SIGRTMIN + 2]
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    unused = [create(time.CLOCK_MONOTONIC, SIGEV_NONE) for _ in range(4)]
    periodic = create(time.CLOCK_MONOTONIC, SIGEV_SIGNAL, signals[0], 0x1234567890)
    libc.syscall(TIMER_DELETE, unused[0])
    libc.syscall(TIMER_DELETE, unused[2])
    own = create(time.CLOCK_BOOTTIME, SIGEV_THREAD_ID, signals[1], 77, libc.gettid())
    far = create(time.CLOCK_REALTIME, SIGEV_NONE)
    cpu = create(time.CLOCK_PROCESS_CPUTIME_ID, SIGEV_NONE)
    started = time.monotonic()
    start(periodic, 0.003, 0.003)
    start(own, 0.004, 0.004)
    start(far, 1000)
    start(cpu, 1000)
    n, seen = 0, {signals[0]: 0, signals[1]: 0}
    while (yield):
        info = signal.sigtimedwait(signals, 60)
        assert info, "no timer sends its signal any more"
        seen[info.si_signo] += 1
        n += 1
    for number in signals * 3:  # asked for both, a slow machine would always give the first
        info = signal.sigtimedwait([number], 60)
        assert info and info.si_signo == number, "a timer sends its signal no more"
    elapsed = time.monotonic() - started
    assert abs(1000 - elapsed - left(far)[0]) < 60 and 940 < left(cpu)[0] <= 1000, (elapsed, left(far), left(cpu))
    assert left(periodic)[1] == 0.003 and left(unused[1]) == (0, 0) and left(unused[3]) == (0, 0)
    assert libc.syscall(TIMER_GETTIME, unused[0], ctypes.byref(Spec())) < 0 and libc.syscall(TIMER_GETTIME, unused[2], ctypes.byref(Spec())) < 0
    assert create(time.CLOCK_MONOTONIC, SIGEV_NONE) not in (periodic, own, far, cpu, unused[1], unused[3])


def family():
    """Two processes: descriptions shared by fork, a pipe, a socket pair and a TCP connection between them with data under way, a record lock of the child, an inherited epoll."""
    with open(path("shared"), "wb") as f:
        f.write(bytes(range(256)) * 64)
    shared = os.open(path("shared"), os.O_RDWR)
    down, up = os.pipe(), os.pipe()
    mine, theirs = socket.socketpair()
    listener = socket.create_server(("127.0.0.1", 0))
    events = select.epoll()
    bell = os.eventfd(0)
    events.register(bell, select.EPOLLIN)
    child = os.fork()
    if child == 0:
        mine.close()
        os.close(down[1])
        os.close(up[0])
        fcntl.lockf(shared, fcntl.LOCK_EX, 10, 5)
        connection = listener.accept()[0]
        while True:
            word = os.read(down[0], 8)
            if not word:
                os._exit(5)
            n, = struct.unpack("<Q", word)
            os.lseek(shared, 1, os.SEEK_CUR)
            assert events.poll(120) == [(bell, select.EPOLLIN)] and os.eventfd_read(bell) == 1
            theirs.send(word)
            connection.sendall(word)
            os.write(up[1], word)
    theirs.close()
    os.close(down[0])
    os.close(up[1])
    tcp = socket.create_connection(listener.getsockname())
    n = 0
    while (yield):
        word = struct.pack("<Q", n)
        os.eventfd_write(bell, 1)
        os.write(down[1], word)
        assert os.read(up[0], 8) == word
        if n >= 20:  # twenty answers stay under way
            assert mine.recv(8) == struct.pack("<Q", n - 20) == tcp.recv(8, socket.MSG_WAITALL)
        n += 1
        assert os.lseek(shared, 0, os.SEEK_CUR) == n, "the offset is shared by fork"
        kind, _, start, length, pid = struct.unpack("hhqqi4x", fcntl.fcntl(shared, fcntl.F_GETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 100, 0)))
        assert (kind, start, length, pid) == (fcntl.F_WRLCK, 5, 10, child), (kind, start, length, pid)
    for i in range(max(0, n - 20), n):
        assert mine.recv(8) == struct.pack("<Q", i) == tcp.recv(8, socket.MSG_WAITALL)
    os.close(down[1])
    assert os.read(up[0], 1) == b"" and mine.recv(1) == b"" and tcp.recv(1) == b""
    assert os.WEXITSTATUS(os.waitpid(child, 0)[1]) == 5


def who():
    """Everything that says who a process is: users, groups, capabilities, and what a change of them takes away."""
    with open("/proc/self/status") as f:
        lines = [line.strip() for line in f if line.startswith(("Uid:", "Gid:", "Groups:", "Cap", "NoNewPrivs:"))]
    signal_of_parent = ctypes.c_int()
    call(libc.prctl(2, ctypes.byref(signal_of_parent), 0, 0, 0))  # PR_GET_PDEATHSIG
    return lines, signal_of_parent.value, libc.prctl(3, 0, 0, 0, 0), libc.prctl(7, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_CORE)


def users():
    """Processes that root has started and that have become other users; of an ordinary user, itself."""
    def server():  # as a web server's worker: all root's powers are gone, but for one
        call(libc.prctl(8, 1, 0, 0, 0))  # PR_SET_KEEPCAPS
        os.setgroups([4, 24])
        os.setresgid(33, 33, 33)
        os.setresuid(33, 33, 33)
        head, data = struct.pack("Ii", 0x20080522, 0), struct.pack("6I", 1 << 10, 1 << 10, 0, 0, 0, 0)  # CAP_NET_BIND_SERVICE
        call(libc.capset(head, data))
        call(libc.prctl(8, 0, 0, 0, 0))
        call(libc.prctl(1, signal.SIGTERM, 0, 0, 0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, 400))

    def mixed():  # as a mail server that takes root's place again and again
        os.setgroups([])
        os.setresgid(8, 12, 0)
        os.setresuid(1000, 33, 0)
        call(libc.prctl(4, 1, 0, 0, 0))  # PR_SET_DUMPABLE

    def plain():  # as su does it
        os.setgroups([65534])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)

    def child(become, asked, told):
        stop, threads = threading.Event(), []
        become()
        seen = who()
        if os.getresuid()[1] != 0:
            thread_users = []
            threads = [threading.Thread(target=lambda: (stop.wait(), thread_users.append(open("/proc/thread-self/status").read().split("Uid:")[1].split("\n")[0])))]
            threads[0].start()
        while os.read(asked, 1):
            assert who() == seen, f"{who()} is not {seen}"
            if os.geteuid() != 0:
                try:
                    os.close(os.open(path("secret"), os.O_RDONLY))
                    raise AssertionError("it reads what only root may")
                except PermissionError:
                    pass
            os.write(told, b"y")
        stop.set()
        for thread in threads:
            thread.join()
            assert thread_users[0].split() == seen[0][0].split()[1:], "a thread of it is another user"
        if become == mixed:
            os.setresuid(-1, 0, -1)  # it may
            os.close(os.open(path("secret"), os.O_RDONLY))
        os._exit(0)

    with open(path("secret"), "w") as f:
        os.fchmod(f.fileno(), 0o600)
    os.chmod(HERE, 0o711)
    children = []
    for become in (server, mixed, plain) if os.geteuid() == 0 else ():
        (asked, ask), (tell, told) = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(ask)
                os.close(tell)
                for _, other, _ in children:
                    os.close(other)
                child(become, asked, told)
            except BaseException as e:
                print("FAILED:", become.__name__, e, flush=True)
            os._exit(1)
        os.close(asked)
        os.close(told)
        children.append((pid, ask, tell))
    theirs = open(path("theirs"), "w")
    os.fchmod(theirs.fileno(), 0o646)
    if os.geteuid() == 0:
        os.fchown(theirs.fileno(), 33, 24)
    status = os.stat(path("theirs"))
    own = who()
    while (yield):
        assert who() == own
        now = os.stat(path("theirs"))  # others may have removed it while the program was away
        assert (now.st_uid, now.st_gid, now.st_mode) == (status.st_uid, status.st_gid, status.st_mode), f"the file of another user is {now}"
        for _, ask, tell in children:
            os.write(ask, b"x")
            assert os.read(tell, 1) == b"y", "a child ended"
    for pid, ask, _ in children:
        os.close(ask)
        assert os.waitpid(pid, 0)[1] == 0


def nonce():
    return os.urandom(8).hex()


CASES = {f.__name__: f for f in (files, deleted, memory, fifo, locks, notify, queued, epoll, timers, unix, passing, tcp, moments, udp, terminal, ipc, posixtimers, family, users)}


def main():
    if len(sys.argv) == 1:
        print(*CASES)
        return
    if "TRECR_STARTS" in os.environ:
        with open(os.environ["TRECR_STARTS"], "ab") as f:
            f.write(b"x")
    this = nonce()
    case = CASES[sys.argv[1]]()
    next(case)
    print("ready " + this, flush=True)
    poll = select.poll()
    poll.register(0, select.POLLIN)
    units = 0
    try:
        while units < 3 or not poll.poll(1):
            case.send(True)
            units += 1
        try:
            case.send(False)
        except StopIteration:
            pass
    except BaseException as e:
        print("FAILED after %d units: %s: %s line %d" % (units, type(e).__name__, e, e.__traceback__.tb_next.tb_lineno if e.__traceback__.tb_next else 0), flush=True)
        raise
    import shutil
    shutil.rmtree(HERE, ignore_errors=True)
    print("units %d" % units)
    print("done " + this, flush=True)


main()
