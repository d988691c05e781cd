# SPDX-License-Identifier: MIT
"""Archives in newc format, as Linux unpacks them at boot, and the libraries that a program brings along.

They are written here, so neither root nor cpio is needed."""
import os
import re
import stat
import subprocess

LIB_DIRS = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"]


class Cpio:
    """An archive in the making; parent directories come by themselves."""

    def __init__(self):
        self.data = bytearray()
        self.seen = set()
        self.inode = 1

    def _entry(self, name, mode, body=b"", rdev=(0, 0)):
        path = name.encode() + b"\0"
        fields = [self.inode, mode, 0, 0, 1, 0, len(body), 0, 0, *rdev, len(path), 0]
        self.inode += 1
        self.data += b"070701" + b"".join(b"%08X" % f for f in fields) + path
        self._pad()
        self.data += body
        self._pad()

    def _pad(self):
        self.data += b"\0" * (-len(self.data) % 4)

    def dir(self, name):
        if name and name not in self.seen:
            self.dir(os.path.dirname(name))
            self.seen.add(name)
            self._entry(name, stat.S_IFDIR | 0o755)

    def text(self, name, body, mode=0o644):
        """A file with these bytes; the first of a name wins."""
        if name in self.seen:
            return
        self.dir(os.path.dirname(name))
        self.seen.add(name)
        self._entry(name, stat.S_IFREG | mode, body)

    def file(self, name, path, mode=None):
        with open(path, "rb") as f:
            self.text(name, f.read(), mode or (os.stat(path).st_mode & 0o777))

    def link(self, name, target):
        self.dir(os.path.dirname(name))
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def node(self, name, major, minor):
        self.dir(os.path.dirname(name))
        self._entry(name, stat.S_IFCHR | 0o600, rdev=(major, minor))

    def finish(self):
        """The archive's bytes; nothing can be added any more."""
        self._entry("TRAILER!!!", 0)
        return bytes(self.data) + b"\0" * (-len(self.data) % 512)

    def write(self, path):
        tmp = f"{path}.{os.getpid()}"
        with open(tmp, "wb") as f:
            f.write(self.finish())
        os.replace(tmp, path)


def needed(path):
    text = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=False).stdout
    return re.findall(r"\(NEEDED\).*\[(.*)\]", text)


def libraries(programs, roots):
    """{name: path} of all shared libraries that the programs need; each from the first root that has it."""
    todo, have = list(programs), {}
    while todo:
        for lib in needed(todo.pop()):
            if lib in have:
                continue
            found = [p for r in roots for d in LIB_DIRS if os.path.exists(p := f"{r}/{d}/{lib}")]
            if not found:
                raise FileNotFoundError(f"no fetched package has {lib}; add it in scripts/fetch")
            have[lib] = found[0]
            todo.append(found[0])
    return have
