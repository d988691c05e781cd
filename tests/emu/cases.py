# SPDX-License-Identifier: MIT
"""What the system tests need besides a machine: disk images and a TCP echo server on the host's side."""
import contextlib
import dataclasses
import os
import socket
import subprocess
import tempfile
import threading

import vm


class EchoServer:
    """A TCP echo server on a port of its own on loopback, which QEMU's user network shows as 10.0.x.2."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.echo, args=(connection,), daemon=True).start()

    @staticmethod
    def echo(connection):
        with connection:
            with contextlib.suppress(OSError):
                while data := connection.recv(65536):
                    connection.sendall(data)

    def close(self):
        self.listener.close()


def make_ext4(path, mib):
    with open(path, "wb") as f:
        f.truncate(mib << 20)
    env = dict(os.environ, PATH=os.environ.get("PATH", "") + ":/sbin:/usr/sbin")
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-F", path], check=True, env=env)


@contextlib.contextmanager
def devices(cfg, disks, nets):
    """cfg with a fresh ext4 disk of each kind in `disks` and a card of each kind in `nets`."""
    server = None
    os.makedirs(vm.TOP + "/build/tmp", exist_ok=True)
    with tempfile.TemporaryDirectory(dir=vm.TOP + "/build/tmp") as tmp:
        images = []
        for i, kind in enumerate(disks):
            make_ext4(f"{tmp}/disk{i}", 400)
            images.append((kind, f"{tmp}/disk{i}"))
        kargs = cfg.kargs
        if nets:
            server = EchoServer()
            kargs = (*kargs, f"port={server.port}")
        try:
            yield dataclasses.replace(cfg, disks=tuple(images), nets=tuple(nets), kargs=kargs)
        finally:
            if server:
                server.close()
