# SPDX-License-Identifier: MIT
"""Orlop as its user installs it (docs/install.md), in the Debian of installed.py: `make install`, the units enabled, two
guests in /etc/orlop/auto. They start with the machine, outlive the daemons, and end in order before these at poweroff."""
import dataclasses
import json
import os
import re
import shutil
import subprocess

import cases
import installed
import vm

TREE = vm.TOP + "/build/tmp/installed-tree"
DISK = vm.TOP + "/build/tmp/guests-disk.img"
UNITS = ["orlop-xenstored", "orlop-consoled", "orlop-monitor", "orlop-guests"]
GUESTS = {"a": "10.9.0.2", "b": "10.9.0.3"}
INTERFACES = """auto lo
iface lo inet loopback
auto xenbr0
iface xenbr0 inet static
    address 10.9.0.1/24
    bridge_ports none
    bridge_stp off
    bridge_fd 0
"""


def guest_config(name):
    address = GUESTS[name]
    return f"""name = "{name}"
type = "pv"
kernel = "/srv/guests/vmlinuz"
ramdisk = "/srv/guests/initrd"
memory = 128
extra = "console=hvc0 panic=-1 net.ifnames=0 name={name} addr={address}/24"
disk = [ "format=raw, vdev=xvda, access=rw, target=/srv/guests/{name}.img" ]
vif = [ "mac=00:16:3e:00:00:{int(address.split('.')[-1]):02x}, bridge=xenbr0" ]
"""


def put(place, text):
    path = TREE + place
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def enable(unit):
    """What `systemctl enable` does."""
    path = f"/usr/local/lib/systemd/system/{unit}.service"
    with open(TREE + path, encoding="utf-8") as f:
        target = re.search(r"^WantedBy=(\S+)$", f.read(), re.M).group(1)
    wants = f"{TREE}/etc/systemd/system/{target}.wants"
    os.makedirs(wants, exist_ok=True)
    os.symlink(path, f"{wants}/{unit}.service")


def install(tree):
    """`make install` into a fresh folder."""
    shutil.rmtree(tree, ignore_errors=True)
    done = subprocess.run(["make", "-C", vm.TOP, "install", "DESTDIR=" + tree], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        raise RuntimeError("make install failed:\n" + done.stderr[-3000:])


def make_init(cfg):
    """For suite.Case: the same files in the small Domain 0 that has no systemd."""
    tree = vm.TOP + "/build/tmp/init-tree"
    install(tree)
    names = ["etc/init.d/orlop", "usr/local/sbin/orlop", "usr/local/lib/orlop/xenstored",
             "usr/local/lib/orlop/orlop-consoled"]
    return dataclasses.replace(cfg, files=tuple((name, f"{tree}/{name}") for name in names))


def make(cfg):
    """For suite.Case: the disk with everything installed."""
    install(TREE)
    if cfg.hv == "xen":
        shutil.copy(vm.FETCH + "/xen/boot/xen.gz", TREE + "/boot/orlop.gz")
    for unit in UNITS:
        enable(unit)
    # What the services say at boot and poweroff, where the test can read it.
    put("/etc/systemd/system/orlop-guests.service.d/test.conf", "[Service]\nStandardOutput=journal+console\n")
    # A busy computer takes longer than systemd waits for devices (/dev/hvc0, for the login prompt) and services.
    put("/etc/systemd/system.conf.d/test.conf",
        "[Manager]\n" + "".join(f"Default{what}Sec=900\n" for what in ("TimeoutStart", "TimeoutStop", "DeviceTimeout")))
    put("/etc/network/interfaces", INTERFACES)
    os.makedirs(TREE + "/srv/guests")
    for name in GUESTS:
        put(f"/etc/orlop/auto/{name}.cfg", guest_config(name))
        cases.make_ext4(f"{TREE}/srv/guests/{name}.img", 64)
    shutil.copy(vm.FETCH + "/linux/boot/vmlinuz", TREE + "/srv/guests/vmlinuz")
    shutil.copy(vm.TOP + "/build/dom0/guest.cpio", TREE + "/srv/guests/initrd")
    os.makedirs(TREE + "/opt", exist_ok=True)
    shutil.copy(vm.TOP + "/tests/emu/installed-check", TREE + "/opt/installed-check")
    cfg.disk_boot = installed.make_disk(cfg, DISK, TREE)
    shutil.rmtree(TREE)
    return cfg


def steps(machine):
    """Types at the console; what went wrong, or ""."""
    for send, expect, timeout in [("", r"orlop-test login:", 1200), ("root\r", r"Password:", 180),
                                  (installed.PASSWORD + "\r", r"# $", 270),
                                  ("dmesg -n 1; sh /opt/installed-check\r", r"^test: (done|FAIL.*)", 3000)]:
        machine.send(send)
        line = machine.wait_for(expect, timeout)
        if not line:
            return f"no answer like /{expect}/ to {send!r}"
        if "test: FAIL" in line:
            machine.wait_for("(?!)", 10)
            return line[len("test: FAIL "):]
    machine.send("systemctl poweroff\r")
    if not machine.wait_for(r"reboot: Power down", 600):
        return "no poweroff"
    return "" if machine.ends_within(60) else "the machine did not switch off"


# In this order, at poweroff. (systemd shortens units' names on the console.)
GOING_DOWN = [r"b has stopped", r"a has stopped", *(r"Stopped.*" + unit for unit in reversed(UNITS))]


def went_down_in_order(lines):
    start = max(i for i, line in enumerate(lines) if "test: done" in line)
    at = start
    for pattern in GOING_DOWN:
        found = [i for i in range(start, len(lines)) if re.search(pattern, lines[i])]
        if not found:
            return f"poweroff: no line like /{pattern}/"
        if found[0] < at:
            return f"poweroff: /{pattern}/ came too early"
        at = found[0]
    return ""


def wrong_json(lines):
    """The guests as `orlop --json` shows them."""
    said = {m.group(1): json.loads(m.group(2)) for line in lines if (m := re.match(r"json (\w+): (.*)", line))}
    listed = {d["name"]: d for d in said["list"]}
    if set(listed) != {"Domain-0", "a", "b"} or listed["a"]["memory_kib"] != 128 << 10:
        return f"orlop --json list: {said['list']}"
    if [(g["name"], g["running"]) for g in said["guests"]] != [("a", True), ("b", True)]:
        return f"orlop --json guests status: {said['guests']}"
    if listed["a"]["domid"] >= listed["b"]["domid"]:
        return "guest b was made before guest a"
    return ""


def output_of(*command):
    env = dict(os.environ, PATH=os.environ["PATH"] + ":/sbin:/usr/sbin")
    return subprocess.run(command, capture_output=True, text=True, check=True, env=env, errors="replace").stdout


def wrong_on_disk():
    """The guests' disks, and their consoles' logs, as the machine left them."""
    root = f"{DISK}?offset={installed.PART_START}"
    for name in GUESTS:
        image = f"{DISK}.{name}"
        output_of("debugfs", "-R", f"dump /srv/guests/{name}.img {image}", root)
        about = output_of("dumpe2fs", "-h", image)
        mark = output_of("debugfs", "-R", "cat /mark", image)
        os.unlink(image)
        if "needs_recovery" in about or not re.search(r"Filesystem state: *clean", about):
            return f"guest {name} did not unmount its file system"
        if mark.strip() != "of-" + name:
            return f"guest {name}'s disk: what it wrote is not there"
        log = output_of("debugfs", "-R", f"cat /var/log/orlop/consoles/{name}.log", root)
        if not re.search(r"reboot: (Power down|System halted)", log):
            return f"the log of guest {name}'s console does not end with its poweroff"
    return ""


def drive(cfg, log):
    machine = vm.Machine(cfg, log)
    try:
        wrong = steps(machine)
    finally:
        machine.stop()
    lines = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line) for line in machine.lines]
    wrong = wrong or went_down_in_order(lines) or wrong_json(lines) or wrong_on_disk()
    return vm.Result(not wrong, wrong, machine.lines, machine.elapsed(), log)
