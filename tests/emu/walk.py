# SPDX-License-Identifier: MIT
"""The administrator's walk (docs/walk.md) on an installed Debian with a separate /boot and the rest in LVM, on a BIOS or UEFI:
our packages in, the default entry booted, services, a volume, a guest, the packages out, booted without a hypervisor."""
import dataclasses
import glob
import os
import re
import shutil
import subprocess

import installed
import installed_guests
import vm

DISK, MIB_ALL = vm.TOP + "/build/tmp/walk-disk.img", 4608
DEBS = vm.TOP + "/build/tmp/walk-debs"
PACKAGES = ["lvm2", "dosfstools", "fdisk", "grub2-common", "grub-pc-bin", "grub-efi-amd64-bin", "efibootmgr", "ifupdown", "bridge-utils",
            "util-linux-extra", "e2fsprogs"]
# A machine that is watched by a serial line. GRUB shows its menu there.
GRUB = """GRUB_DEFAULT=0
GRUB_TIMEOUT=3
GRUB_DISTRIBUTOR=Debian
GRUB_TERMINAL="serial"
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
GRUB_CMDLINE_LINUX_DEFAULT="console=ttyS0 net.ifnames=0"
GRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT="console=hvc0 net.ifnames=0"
GRUB_CMDLINE_XEN_DEFAULT="com1=115200,8n1 console=com1 loglvl=all guest_loglvl=all dom0_mem=1G,max:1G"
GRUB_DISABLE_OS_PROBER=true
"""


def put(folder, place, text):
    path = folder + place
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def packages():
    """Our two, made new."""
    done = subprocess.run([vm.TOP + "/scripts/deb", DEBS], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError("the packages were not built:\n" + done.stderr[-3000:])
    return glob.glob(DEBS + "/*.deb")


def add_files(root, cfg):
    """What the installing machine and the test need, into the root that is copied."""
    tree = vm.TOP + "/build/tmp/walk-tree"
    shutil.rmtree(tree, ignore_errors=True)
    put(tree, "/etc/default/grub", GRUB)
    put(tree, "/etc/network/interfaces", installed_guests.INTERFACES)
    put(tree, "/etc/systemd/system.conf.d/test.conf",
        "[Manager]\n" + "".join(f"Default{what}Sec=900\n" for what in ("TimeoutStart", "TimeoutStop", "DeviceTimeout")))
    os.makedirs(tree + "/opt")
    for deb in packages():
        shutil.copy(deb, tree + "/opt")
    shutil.copy(cfg.kernel, tree + "/opt/vmlinuz")
    shutil.copy(vm.TOP + "/build/dom0/guest.cpio", tree + "/opt/guest.cpio")
    scripts = ("walk-install", "walk-check")
    for name in scripts:
        shutil.copy(f"{vm.TOP}/tests/emu/{name}", tree + "/opt")
    installed.debugfs(root, *installed.lay_over(tree), *(f"sif /opt/{name} mode 0100755" for name in scripts))
    shutil.rmtree(tree)


def install(cfg):
    """The disk, by a machine of its own without a hypervisor. What went wrong, or None."""
    root = DISK + ".root"
    xl = "xen-utils-" + re.search(r"xen-([0-9.]+)", os.readlink(vm.FETCH + "/tools/xen-bin")).group(1)
    shutil.copyfile(installed.make_root(more=[*PACKAGES, xl]), root)
    add_files(root, cfg)
    boot = re.findall(r"/([^/]+)/\d*/$", installed.list_boot(root), re.M)
    for name in ("vmlinuz-", "initrd.img-"):
        which = next(n for n in boot if n.startswith(name))
        installed.debugfs(root, f"dump /boot/{which} {DISK}.{name}")
    with open(DISK, "wb") as f:
        f.truncate(MIB_ALL << 20)
    machine = vm.Machine(dataclasses.replace(
        cfg, hv="bare", kernel=DISK + ".vmlinuz-", initramfs=DISK + ".initrd.img-", disks=(("virtio", root), ("virtio", DISK)),
        uefi=False, kargs=("root=/dev/vda", "rw", "init=/opt/walk-install")), vm.TOP + "/build/logs/emu/walk-install.log")
    try:
        line = machine.wait_for(r"^walk-install: (ok|FAIL: line .)", 1500)
        if line:
            machine.ends_within(60)
    finally:
        machine.stop()
        for f in (root, DISK + ".vmlinuz-", DISK + ".initrd.img-"):
            os.unlink(f)
    return None if line and "ok" in line else f"the installation: {line or 'no end'}"


def session(cfg, log, step):
    """One boot from the disk: logs in, runs a step of walk-check, switches off."""
    machine = vm.Machine(cfg, log)
    wrong = ""
    try:
        for send, expect, timeout in [("", r"orlop-test login:", 900), ("root\r", r"Password:", 180),
                                      (installed.PASSWORD + "\r", r"# $", 270),
                                      (f"dmesg -n 1; sh /opt/walk-check {step}\r", r"^walk: (done|FAIL.*)", 2400),
                                      ("systemctl poweroff\r", r"reboot: Power down", 400)]:
            machine.send(send)
            line = machine.wait_for(expect, timeout)
            if not line:
                wrong = f"no answer like /{expect}/ to {send!r}"
            elif "walk: FAIL" in line:
                wrong = line
                machine.wait_for("(?!)", 10)
            if wrong:
                break
        if not wrong and not machine.ends_within(60):
            wrong = "the machine did not switch off"
    finally:
        machine.stop()
    return machine, wrong and f"{step}: {wrong}"


def drive(cfg, log):
    wrong, lines, seconds = install(cfg), [], 0
    steps = [] if wrong else ["before", "after", "gone"]
    for step in steps:
        machine, wrong = session(dataclasses.replace(cfg, disk_boot=DISK), log.removesuffix(".log") + f"-{step}.log", step)
        lines += machine.lines
        seconds += machine.elapsed()
        if wrong:
            break
    with open(log, "w", encoding="utf-8") as f:
        f.write("\n".join(lines))
    return vm.Result(not wrong, wrong or "", lines, seconds, log)
