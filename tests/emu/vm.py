# SPDX-License-Identifier: MIT
"""Boots QEMU with a hypervisor (or none) and Debian's kernel, and reads the verdict off its serial line.

The hypervisor is a parameter: `orlop` is build/orlop.elf, `xen` is Debian's Xen from scripts/fetch, `bare` boots
the same kernel without one. Domain 0's side of the conversation is dom0/init."""
import contextlib
import dataclasses
import functools
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FETCH = os.path.join(TOP, "build/fetch")
sys.path.insert(1, TOP + "/dom0")
import cpio as newc  # noqa: E402, pylint: disable=wrong-import-position

# What ends a run at once: the machine will not come back from these. The last one is the emulator's doing (tests/emu/run).
FATAL = re.compile(r"Panic on CPU \d+:|Domain 0 \(vcpu#\d+\) crashed|Kernel panic - not syncing|"
                   r"\(orlop\) (?:fatal|halted)|Domain 0 crashed: |^\(orlop\).* RIP [0-9a-f]{4}:\[<[0-9a-f]+>\] svm_enter\+")
MARK = "orlop-dom0: "
PATIENCE = 2    # limits end what hangs; a computer that does other work is only slow


@dataclasses.dataclass
class Config:
    """One machine. Memory in MiB; a disk is (kind, image path) and a net is a kind."""
    hv: str = "orlop"
    task: str = "none"
    qemu: str = "system"    # or at least this version
    machine: str = "q35"
    cpus: int = 1
    mem: int = 2048
    cpu: str = ""
    accel: str = "tcg"
    initramfs: str = "small"
    files: tuple = ()       # ("place in Domain 0", host's file), added to the initramfs
    kernel: str = FETCH + "/linux/boot/vmlinuz"
    kargs: tuple = ()
    hvargs: tuple = ()
    disks: tuple = ()
    nets: tuple = ()
    extra: tuple = ()
    timeout: int = 240      # on a computer that does nothing else: PATIENCE times that ends a run
    reboots: bool = False
    debug: bool = False     # Orlop with ASSERTs and lock checks (make DEBUG=1)
    cdrom: str = ""     # boot this image by firmware instead of -kernel
    disk_boot: str = ""     # or this raw disk image
    uefi: bool = False      # by OVMF instead of SeaBIOS
    secure_boot: str = ""   # that of the OVMF made for it, which keeps more memory to itself: on (Microsoft's keys are in), off
    grub: str = ""          # a command of GRUB's before it loads us from the CD

    def cpu_model(self):
        if self.cpu:
            # QEMU's idle MWAIT raises #GP for an extension that these models announce, and Xen uses it.
            return self.cpu + (",-monitor" if self.hv == "xen" and self.cpu == "EPYC" else "")
        # With guests on Debian's Xen, short-lived programs in Domain 0 and in guests die at random (1 in some hundred,
        # in their own data) with this model; not on Orlop, not on Xen without guests, and not seen with qemu64.
        if self.hv == "xen" and os.path.basename(self.initramfs).startswith(("guests", "initramfs-")):
            return "qemu64"
        return "max" if smap_is_right(self.qemu) else "max,-smap"


@dataclasses.dataclass
class Result:
    ok: bool
    reason: str
    lines: list
    seconds: float
    log: str

    def tail(self, count=15):
        return "\n".join("    | " + line for line in self.lines[-count:])

    def section(self, task):
        """The lines that a task printed."""
        out, inside = [], False
        for line in self.lines:
            if line.startswith(MARK + "begin " + task):
                inside = True
            elif line.startswith((MARK + "ok " + task, MARK + "FAIL " + task)):
                inside = False
            elif inside:
                out.append(line)
        return out


def hypervisor_image(hv, debug=False):
    orlop = "build/debug/orlop.elf" if debug else "build/orlop.elf"
    return {"orlop": os.path.join(TOP, orlop), "xen": FETCH + "/xen/xen.elf"}[hv]


@functools.cache
def system_qemu():
    """The major version of the system's QEMU."""
    text = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=True).stdout
    return int(re.search(r"version (\d+)", text).group(1))


def uses_system_qemu(version):
    return version == "system" or int(version) <= system_qemu()


def qemu_binary(version):
    """Program and options of a QEMU: the system's ("system", or where that is new enough), or the one under build/."""
    if uses_system_qemu(version):
        return ["qemu-system-x86_64"]
    return [TOP + "/scripts/unpacked", FETCH + "/qemu10", "qemu-system-x86_64"]


def missing_group(name):
    """Why scripts/fetch could not get this group of packages, or None if it has it."""
    with contextlib.suppress(FileNotFoundError), open(f"{FETCH}/{name}.missing", encoding="utf-8") as f:
        return f"Debian's packages of {name} could not be had: {f.read().strip()}"
    return None


def cannot_run(cfg):
    """Why this machine cannot be started on this computer, or None."""
    groups = ["efi"] * cfg.uefi + ["xen"] * (cfg.hv == "xen") + ["qemu10"] * (not uses_system_qemu(cfg.qemu))
    return next((reason for g in groups if (reason := missing_group(g))), None)


def smap_is_right(version):
    """QEMU 7.2 emulates SMAP wrongly."""
    return not uses_system_qemu(version) or system_qemu() >= 10


def kernel_args(cfg):
    console = "ttyS0" if cfg.hv == "bare" else "hvc0"
    args = [f"console={console}", "panic=-1", "net.ifnames=0", f"task={cfg.task}"]
    if cfg.hv == "bare":
        args.append("transparent_hugepage=never")
    if cfg.disks:
        args.append(f"ndisks={len(cfg.disks)}")
    if cfg.nets:
        args.append(f"nnets={len(cfg.nets)}")
    return " ".join([*args, *cfg.kargs])


def hypervisor_args(cfg):
    args = ["com1=115200,8n1", "console=com1", "loglvl=all", "guest_loglvl=all", "noreboot"]
    if cfg.reboots or "end=reboot" in cfg.kargs:
        args.remove("noreboot")
    if cfg.hv == "xen" and not smap_is_right(cfg.qemu) and "-smap" not in cfg.cpu_model():
        args.append("smap=0")
    return " ".join([*args, *cfg.hvargs])


def own_tools():
    """Orlop's programs that are built, and micro-guests that run as guests, as files for Domain 0."""
    place, guests = TOP + "/build/tools", TOP + "/build/guests/"
    names = sorted(os.listdir(place)) if os.path.isdir(place) else []
    return [("orlop/" + n, f"{place}/{n}") for n in names
            if os.path.isfile(f"{place}/{n}") and os.access(f"{place}/{n}", os.X_OK)] + \
        [("guest/" + n, guests + n) for n in ("idle.elf", "pvh-idle.elf", "bsd.elf", "xenlinux.elf") if os.path.exists(guests + n)]


def add_files(cfg):
    """cfg's initramfs with its files (and in guests.cpio Orlop's tools as they are now) behind it: a path."""
    image = f"{TOP}/build/dom0/{cfg.initramfs}.cpio"
    files = list(cfg.files) + (own_tools() if cfg.initramfs == "guests" else [])
    if not files:
        return image
    more = newc.Cpio()
    for name, path in files:
        more.file(name, path)
    # The image has those libraries that the distribution's tools need; the fetched ones go before the machine's.
    for lib, path in newc.libraries([p for _, p in files], [*(f"{FETCH}/{g}" for g in ("tools", "images", "hvm", "efi", "socat")), "/"]).items():
        more.file("lib/x86_64-linux-gnu/" + lib, path)
    more.link("lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
    os.makedirs(TOP + "/build/tmp", exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=TOP + "/build/tmp", prefix="initramfs-", delete=False) as out:
        with open(image, "rb") as f:
            out.write(f.read())
        out.write(more.finish())
    return out.name


def firmware_options(cfg):
    """OVMF with variables of its own, which QEMU forgets at its end."""
    place = FETCH + "/efi/usr/share/OVMF/OVMF_"
    code, variables = ("CODE_4M.secboot" if cfg.secure_boot else "CODE_4M"), ("VARS_4M.ms" if cfg.secure_boot == "on" else "VARS_4M")
    # The variables that hold the keys are written in system management mode only.
    guarded = ["-global", "driver=cfi.pflash01,property=secure,value=on"] if cfg.secure_boot else []
    return ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={place}{code}.fd",
            "-drive", f"if=pflash,unit=1,format=raw,snapshot=on,file={place}{variables}.fd", *guarded] if cfg.uefi else []


def boot_options(cfg):
    if cfg.cdrom:
        return [*firmware_options(cfg), "-cdrom", cfg.cdrom, *([] if cfg.uefi else ["-boot", "d"])]
    if cfg.disk_boot:
        return [*firmware_options(cfg), "-drive", f"file={cfg.disk_boot},format=raw,if=none,id=boot",
                "-device", "virtio-blk-pci,drive=boot,bootindex=0"]
    initramfs = cfg.initramfs if "/" in cfg.initramfs else f"{TOP}/build/dom0/{cfg.initramfs}.cpio"
    if cfg.hv == "bare":
        return ["-kernel", cfg.kernel, "-append", kernel_args(cfg), "-initrd", initramfs]
    if not cfg.kernel:
        return ["-kernel", hypervisor_image(cfg.hv, cfg.debug), "-append", hypervisor_args(cfg)]
    # In the module list a comma separates modules, and a doubled one stands for itself.
    module = f"{cfg.kernel} {kernel_args(cfg)}".replace(",", ",,")
    return ["-kernel", hypervisor_image(cfg.hv, cfg.debug), "-append", hypervisor_args(cfg),
            "-initrd", f"{module},{initramfs}"]


def device_options(cfg):
    out = []
    for i, (kind, path) in enumerate(cfg.disks):
        out += ["-drive", f"if=none,id=disk{i},file={path},format=raw,cache=unsafe"]
        out += {"virtio": ["-device", f"virtio-blk-pci,drive=disk{i}"],
                "ahci": ["-device", f"ahci,id=ahci{i}", "-device", f"ide-hd,drive=disk{i},bus=ahci{i}.0"],
                "nvme": ["-device", f"nvme,drive=disk{i},serial=orlop{i}"]}[kind]
    for i, kind in enumerate(cfg.nets):
        out += ["-netdev", f"user,id=net{i},net=10.0.{2 + i}.0/24",
                "-device", {"virtio": "virtio-net-pci"}.get(kind, kind) + f",netdev=net{i}"]
    if not cfg.nets:
        out += ["-nic", "none"]
    return out


def command(cfg, serial="stdio"):
    """The whole QEMU command line."""
    return [*qemu_binary(cfg.qemu), "-machine", cfg.machine + (",smm=on" if cfg.secure_boot else ""), "-accel", cfg.accel, "-cpu", cfg.cpu_model(),
            "-smp", str(cfg.cpus), "-m", str(cfg.mem), "-display", "none", "-monitor", "none",
            "-serial", serial, *([] if cfg.reboots else ["-no-reboot"]), *boot_options(cfg),
            *device_options(cfg), *cfg.extra]


class Machine:
    """A running QEMU; `lines` grows as the serial line does, and so does the log file."""

    def __init__(self, cfg, log):
        os.makedirs(os.path.dirname(log), exist_ok=True)
        self.cfg, self.log, self.lines, self.partial = cfg, log, [], ""
        self.start = time.monotonic()
        self.made = None
        if not cfg.cdrom and not cfg.disk_boot and (cfg.files or cfg.initramfs == "guests"):
            self.made = add_files(cfg)
            cfg = dataclasses.replace(cfg, initramfs=self.made)
        argv = command(cfg)
        self.file = open(log, "wb")
        self.file.write(("+ " + shlex.join(argv) + "\n").encode())
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)

    def elapsed(self):
        return time.monotonic() - self.start

    def pump(self, wait=0.5):
        """Reads what has come; returns the new whole lines, or None at the end of the output."""
        ready, _, _ = select.select([self.process.stdout], [], [], wait)
        if not ready:
            return []
        data = os.read(self.process.stdout.fileno(), 65536)
        if not data:
            return None
        self.file.write(data)
        self.file.flush()
        parts = (self.partial + data.decode("utf-8", "replace")).replace("\r", "").split("\n")
        self.partial = parts.pop()
        self.lines += parts
        return parts

    def send(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def wait_for(self, pattern, timeout):
        """Waits for a line (or an unfinished one, like a prompt) that matches; returns it or None."""
        end, regex, at = self.elapsed() + PATIENCE * timeout, re.compile(pattern), 0
        while self.elapsed() < end:
            for line in self.lines[at:] + [self.partial]:
                if regex.search(line):
                    return line
            at = len(self.lines)
            if self.pump() is None:
                return None
        return None

    def ends_within(self, timeout):
        """Whether QEMU ends by itself in this time; reads on meanwhile."""
        end = self.elapsed() + PATIENCE * timeout
        while self.elapsed() < end:
            if self.pump() is None:
                self.process.wait()
                return True
        return False

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGKILL)
                self.process.wait()
        self.file.close()
        if self.made and not self.made.startswith(TOP + "/build/dom0/"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.made)


def verdict(machine, ended, fatal):
    """(ok, reason) once the machine has ended, or has been given up on."""
    lines, cfg = machine.lines, machine.cfg
    failed = [line for line in lines if line.startswith(MARK + "FAIL")]
    if failed:
        return False, failed[0][len(MARK):]
    if fatal:
        return False, fatal.strip()
    if cfg.reboots:
        twice = sum(line.strip() == MARK + "init" for line in lines) >= 2
        return twice, "" if twice else "the machine did not come up again"
    if not ended:
        return False, f"no end within {PATIENCE * cfg.timeout} s"
    if not any(line.startswith(MARK + "init") for line in lines):
        return False, "Domain 0's first program did not run"
    if not any(line.strip() == MARK + "done" for line in lines):
        return False, "the machine stopped before Domain 0's tasks were done"
    if machine.process.returncode:
        return False, f"QEMU ended with code {machine.process.returncode}"
    return True, ""


def run(cfg, log, show=None):
    """Boots the machine, waits for its end, and says how it went; show() gets each line as it comes."""
    machine = Machine(cfg, log)
    fatal, ended = "", False
    try:
        while machine.elapsed() < PATIENCE * cfg.timeout:
            new = machine.pump()
            if new is None:
                machine.process.wait()
                ended = True
                break
            for line in new if show else ():
                show(line)
            fatal = fatal or next((line for line in new if FATAL.search(line)), "")
            if fatal:
                # What follows explains it: registers, backtrace.
                until = machine.elapsed() + 3
                while machine.elapsed() < until and machine.pump() is not None:
                    pass
                break
            if cfg.reboots and sum(line.strip() == MARK + "init" for line in machine.lines) >= 2:
                break
    finally:
        machine.stop()
    if machine.partial:
        machine.lines.append(machine.partial)
    ok, reason = verdict(machine, ended, fatal)
    return Result(ok, reason, machine.lines, machine.elapsed(), log)
