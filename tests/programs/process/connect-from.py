#!/usr/bin/python3
"""Connects from the addresses in a file (a line each: address, port) to a listening socket of its own, and keeps the connections for half a minute: connect-from.py FILE."""
import os, socket, struct, sys, time

IP_LOCAL_PORT_RANGE, IP_BIND_ADDRESS_NO_PORT = 51, 24
kept = []
for line in open(sys.argv[1]):
    address, port = line.split()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener, client = socket.socket(family), socket.socket(family)
    listener.bind((address, 0))
    listener.listen(1)
    client.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("I", int(port) << 16 | int(port)))
    client.connect(listener.getsockname())
    assert client.getsockname()[:2] == (address, int(port))
    kept.append((listener, client))
if os.fork() == 0:
    null = os.open("/dev/null", os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    time.sleep(30)
