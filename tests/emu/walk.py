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
import mirror
import screen
import vm
import vnc

DISK, MIB_ALL = vm.TOP + "/build/tmp/walk-disk.img", 7168
DEBS = vm.TOP + "/build/tmp/walk-debs"
PACKAGES = ["lvm2", "dosfstools", "fdisk", "grub2-common", "grub-pc-bin", "grub-efi-amd64-bin", "efibootmgr", "ifupdown", "bridge-utils",
            "util-linux-extra", "e2fsprogs"]
# And what the guests of libvirt need.
LIBVIRT = ["libvirt-daemon-system", "libvirt-daemon-driver-xen", "libvirt-clients", "virtinst", "dnsmasq-base", "qemu-system-xen",
           "grub-xen-host", "cpio"]
ROOT_MIB = 2900
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
    shutil.copy(vm.TOP + "/build/dom0/progs/vncsee", tree + "/opt")
    scripts = ("walk-install", "walk-check", "walk-lib", "walk-libvirt", "walk-virt-install")
    for name in scripts:
        shutil.copy(f"{vm.TOP}/tests/emu/{name}", tree + "/opt")
    installed.debugfs(root, *installed.lay_over(tree), *(f"sif /opt/{name} mode 0100755" for name in (*scripts, "vncsee")))
    shutil.rmtree(tree)


def install(cfg):
    """The disk, by a machine of its own without a hypervisor. What went wrong, or None."""
    root = DISK + ".root"
    xl = "xen-utils-" + re.search(r"xen-([0-9.]+)", os.readlink(vm.FETCH + "/tools/xen-bin")).group(1)
    shutil.copyfile(installed.make_root(more=[*PACKAGES, *LIBVIRT, xl], mib=ROOT_MIB), root)
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


def session(cfg, log, steps):
    """One boot from the disk: logs in, runs steps of walk-check, switches off."""
    machine = vm.Machine(cfg, log)
    todo = [("", r"orlop-test login:", 900), ("root\r", r"Password:", 180), (installed.PASSWORD + "\r", r"# $", 270),
            ("dmesg -n 1\r", r"# $", 60),
            *((f"sh /opt/walk-check {step}\r", rf"^walk: (done {step}|FAIL.*)", 6000) for step in steps),
            ("systemctl poweroff\r", r"reboot: Power down", 600)]
    wrong = ""
    try:
        for send, expect, timeout in todo:
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
    return machine, wrong and f"{'+'.join(steps)}: {wrong}"


def pictures_wrong(result, words):
    """What is not to be read on the guests' screens that were seen ({picture: words}), or None."""
    found = vnc.pictures(result)
    for name, text in words.items():
        if name not in found:
            return f"no picture {name}"
        lines = [line for line in screen.text_of(found[name], vnc.pc_font()) if line]
        result.lines.extend(f"screen {name}: {line}" for line in lines)
        if not any(text in line for line in lines):
            return f"the screen {name} does not show '{text}': " + " / ".join(lines)[:300]
    return None


def drive(cfg, log, boots, words):
    """The installation, then a boot for each list of steps."""
    wrong, lines, seconds = install(cfg), [], 0
    for steps in [] if wrong else boots:
        machine, wrong = session(dataclasses.replace(cfg, disk_boot=DISK), log.removesuffix(".log") + f"-{steps[-1]}.log", steps)
        lines += machine.lines
        seconds += machine.elapsed()
        if wrong:
            break
    result = vm.Result(not wrong, wrong or "", lines, seconds, log)
    if not wrong and (wrong := pictures_wrong(result, words)):
        result = dataclasses.replace(result, ok=False, reason=wrong)
    with open(log, "w", encoding="utf-8") as f:
        f.write("\n".join(lines))
    return result


def drive_walk(cfg, log):
    if reason := vm.missing_group("hvm"):
        return reason
    return drive(cfg, log, [["before"], ["after", "libvirt", "remove"], ["gone"]], {"web2": "Run /init as init process"})


def drive_virt_install(cfg, log):
    """virt-install makes a guest by Debian's installer, which installs Debian and boots it."""
    if reason := vm.missing_group("hvm"):
        return reason
    cfg = dataclasses.replace(cfg, disks=(("virtio", mirror.make("http://192.168.122.1")),))
    return drive(cfg, log, [["before"], ["virt-install"]], {"f13": "f13 login:"})
