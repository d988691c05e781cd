# SPDX-License-Identifier: MIT
"""An installed Debian with systemd on a disk image, booted by GRUB: made by mmdebstrap without mounting anything."""
import glob
import os
import re
import shutil
import subprocess
import zlib

import vm

TMP = vm.TOP + "/build/tmp"
DISK = TMP + "/debian-disk.img"
MIB = 1 << 20
PART_START, PART_MIB = 1 * MIB, 2048
GRUB = "/usr/lib/grub/i386-pc"
PASSWORD = "orlop"

BASE = ["linux-image-amd64", "initramfs-tools", "systemd-sysv", "udev", "dbus", "kmod", "iproute2"]
INSTALL_BOOK = vm.TOP + "/docs/install.md"


def customize(mib):
    """mmdebstrap's hooks. tmpfs and hostname are what systemd units in a minimal system look for; the password is the test's."""
    return [
        f'echo root:{PASSWORD} | chroot "$1" chpasswd',
        'echo orlop-test >"$1/etc/hostname"',
        'echo "127.0.0.1 localhost orlop-test" >"$1/etc/hosts"',
        'echo "/dev/vda1 / ext4 errors=remount-ro 0 1" >"$1/etc/fstab"',
        # A bind mount shows the tree without what is mounted inside it (proc, sys, dev).
        'mkdir "$1.bare" && mount --bind "$1" "$1.bare"',
        f'mke2fs -q -t ext4 -F -L root -d "$1.bare" {TMP}/debian-root.part {mib}M; rc=$?; umount "$1.bare"; '
        'rmdir "$1.bare"; exit $rc',
    ]


def needed_packages():
    """The Debian packages that docs/install.md tells the user to install: so the test is also the book's."""
    with open(INSTALL_BOOK, encoding="utf-8") as f:
        text = f.read().replace("\\\n", " ")
    return re.search(r"^ *apt install ((?:[a-z0-9.+-]+ *)+)$", text, re.M).group(1).split()


def make_root(more=(), mib=PART_MIB):
    """The root file system, once for each set of packages: some minutes of downloads and unpacking. Its path."""
    hooks = customize(mib)
    packages = [*BASE, *needed_packages(), "iputils-ping", *more]
    kind = "more" if more else "root"
    root = f"{TMP}/debian-{kind}-{zlib.crc32(' '.join(packages + hooks).encode()):08x}.ext4"
    if os.path.exists(root):
        return root
    os.makedirs(TMP, exist_ok=True)
    command = [] if os.getuid() == 0 else ["sudo"]
    command += ["mmdebstrap", "--variant=minbase", "--include=" + ",".join(packages)]
    for hook in hooks:
        command.append("--customize-hook=" + hook)
    with open("/etc/os-release", encoding="utf-8") as f:
        release = re.search(r"VERSION_CODENAME=(\w+)", f.read()).group(1)
    sources = TMP + "/sources.list"
    with open(sources, "wb") as f:
        f.write(subprocess.run([vm.TOP + "/scripts/apt-sources.py"], capture_output=True, check=True).stdout)
    command += [release, "/dev/null", sources]
    env = dict(os.environ, PATH=os.environ["PATH"] + ":/sbin:/usr/sbin")
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        raise RuntimeError("mmdebstrap failed:\n" + done.stderr[-3000:])
    for old in glob.glob(f"{TMP}/debian-{kind}-*.ext4"):
        os.unlink(old)
    os.replace(TMP + "/debian-root.part", root)
    return root


def debugfs(image, *commands):
    """Runs debugfs commands that change a file system inside a file."""
    env = dict(os.environ, PATH=os.environ["PATH"] + ":/sbin:/usr/sbin")
    text = "\n".join(commands) + "\n"
    subprocess.run(["debugfs", "-w", "-f", "-", image], input=text, capture_output=True, text=True, check=True,
                   env=env)


def list_boot(image):
    env = dict(os.environ, PATH=os.environ["PATH"] + ":/sbin:/usr/sbin")
    return subprocess.run(["debugfs", "-R", "ls -p /boot", image], capture_output=True, text=True, check=True,
                          env=env).stdout


def grub_config(cfg, names, hypervisor):
    kernel = next(n for n in names if n.startswith("vmlinuz-"))
    initrd = next(n for n in names if n.startswith("initrd.img-"))
    console = "ttyS0" if cfg.hv == "bare" else "hvc0"
    args = f"root=/dev/vda1 ro console={console} net.ifnames=0"
    lines = ["serial --unit=0 --speed=115200", "terminal_output serial"]
    if cfg.hv == "bare":
        lines += [f"linux /boot/{kernel} {args}", f"initrd /boot/{initrd}"]
    else:
        # What Debian's own GRUB entries for Xen say, with another file name.
        lines += [f"multiboot2 {hypervisor} placeholder {vm.hypervisor_args(cfg)}",
                  f"module2 /boot/{kernel} placeholder {args}", f"module2 --nounzip /boot/{initrd}"]
    return "\n".join([*lines, "boot"]) + "\n"


def lay_over(tree):
    """debugfs commands that put a folder's contents over a file system's."""
    commands = []
    for folder, _, files in os.walk(tree):
        place = "/" + os.path.relpath(folder, tree)
        if place != "/.":
            commands.append(f"mkdir {place}")
        for name in files:
            path, to = f"{folder}/{name}", os.path.normpath(f"{place}/{name}")
            commands += [f"rm {to}", f"symlink {to} {os.readlink(path)}" if os.path.islink(path) else f"write {path} {to}"]
    return commands


def partition_table():
    """A master boot record with GRUB's boot.img and one Linux partition."""
    with open(GRUB + "/boot.img", "rb") as f:
        mbr = bytearray(f.read(512))
    start, count = PART_START // 512, PART_MIB * MIB // 512
    mbr[446:462] = bytes([0x80, 0xfe, 0xff, 0xff, 0x83, 0xfe, 0xff, 0xff]) + start.to_bytes(4, "little") + \
        count.to_bytes(4, "little")
    mbr[462:510] = bytes(48)
    mbr[510:512] = b"\x55\xaa"
    return mbr


def make_disk(cfg, disk=DISK, tree=None):
    """The disk for this hypervisor: root file system with it and a GRUB menu inside, boot loader in front. `tree`, what
    a user has installed, is laid over it, with the hypervisor as /boot/orlop.gz. Returns the disk's path."""
    root = make_root()
    part = disk + ".part"
    shutil.copyfile(root, part)
    names = re.findall(r"/([^/]+)/\d*/$", list_boot(part), re.M)
    hypervisor = "/boot/orlop.gz" if tree else "/boot/hypervisor.gz"
    with open(disk + ".cfg", "w", encoding="ascii") as f:
        f.write(grub_config(cfg, names, hypervisor))
    commands = ["mkdir /boot/grub", f"write {disk}.cfg /boot/grub/grub.cfg", *(lay_over(tree) if tree else ())]
    if cfg.hv != "bare" and not tree:
        image = {"orlop": vm.TOP + "/build/orlop.gz",
                 "xen": vm.FETCH + "/xen/boot/xen.gz"}[cfg.hv]
        commands.append(f"write {image} {hypervisor}")
    debugfs(part, *commands)
    core = disk + ".core"
    subprocess.run(["grub-mkimage", "-O", "i386-pc", "-d", GRUB, "-o", core, "-p", "(hd0,msdos1)/boot/grub",
                    "biosdisk", "part_msdos", "ext2", "normal", "multiboot", "multiboot2", "linux", "serial",
                    "gzio", "boot", "echo"], check=True)
    with open(disk, "wb") as out, open(core, "rb") as f, open(part, "rb") as filled:
        out.write(partition_table())
        out.write(f.read())
        out.seek(PART_START)
        shutil.copyfileobj(filled, out, MIB)
    os.remove(part)
    return disk


def drive(cfg, log):
    """Logs in at the prompt and asks systemd what failed."""
    machine = vm.Machine(cfg, log)
    wrong = ""
    try:
        steps = [("", r"orlop-test login:", 400), ("root\r", r"Password:", 60), (PASSWORD + "\r", r"# $", 90),
                 ("systemctl is-system-running --wait; systemctl --failed --no-legend --plain | sed 's/^/failed: /'; "
                  "echo fin-$((6*7))\r", r"^fin-42", 240),
                 ("systemctl poweroff\r", r"reboot: Power down", 120)]
        for send, expect, timeout in steps:
            machine.send(send)
            if not machine.wait_for(expect, timeout):
                wrong = f"no answer like /{expect}/ to {send!r}"
                break
        if not wrong and not machine.ends_within(30):
            wrong = "the machine did not switch off"
        if not wrong:
            failed = [line for line in machine.lines if line.startswith("failed: ")]
            wrong = "units failed: " + "; ".join(failed) if failed else ""
    finally:
        machine.stop()
    return vm.Result(not wrong, wrong, machine.lines, machine.elapsed(), log)
