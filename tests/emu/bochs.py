# SPDX-License-Identifier: MIT
"""Boots Domain 0 with guests in Bochs, on a processor that QEMU does not emulate (VMX): what bench/bochs and
tests/emu/bochs-guest share. Micro-guests have a way of their own, tests/guests/run --emu bochs."""
import os
import shutil
import subprocess
import time

import vm

MODEL = "corei7_haswell_4770"
BOCHS = vm.FETCH + "/bochs"
JUST_RUN = "c\n"


def missing():
    """Why Bochs cannot be run, or None."""
    if not os.path.exists(BOCHS + "/usr/bin/bochs-bin"):
        return vm.missing_group("bochs") or "Bochs was not fetched"
    return None if shutil.which("grub-mkrescue") else "there is no grub-mkrescue"


def write_rc(place, commands):
    share = BOCHS + "/usr/share/bochs"
    with open(place + "/rc", "w", encoding="utf-8") as f:
        f.write(f"""config_interface: textconfig
display_library: rfb, options="timeout=0"
cpu: model={MODEL}, ips=50000000, ignore_bad_msrs=1
memory: guest=1024, host=1024
romimage: file={share}/BIOS-bochs-latest
vgaromimage: file={share}/VGABIOS-lgpl-latest
plugin_ctrl: unmapped=1, biosdev=1, speaker=0, extfpuirq=1, parallel=0, serial=1, iodebug=0
clock: sync=none
com1: enabled=1, mode=file, dev={place}/serial
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path={place}/cd.iso, status=inserted
boot: cdrom
log: {place}/bochs.log
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
magic_break: enabled={int(commands != JUST_RUN)}
""")
    with open(place + "/commands", "w", encoding="utf-8") as f:
        f.write(commands)


def make_cd(cfg, place):
    boot = place + "/cd/boot"
    os.makedirs(boot + "/grub")
    shutil.copy(vm.hypervisor_image(cfg.hv), boot + "/hv")
    shutil.copy(cfg.kernel, boot + "/linux")
    shutil.move(vm.add_files(cfg), boot + "/initramfs")
    with open(boot + "/grub/grub.cfg", "w", encoding="utf-8") as f:
        f.write(f"set timeout=0\nmultiboot /boot/hv placeholder {vm.hypervisor_args(cfg)}\n"
                f"module /boot/linux placeholder {vm.kernel_args(cfg)}\nmodule /boot/initramfs\nboot\n")
    subprocess.run(["grub-mkrescue", "-d", "/usr/lib/grub/i386-pc", "-o", place + "/cd.iso", place + "/cd"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_done(process, serial):
    """Until Domain 0 has said its last word, or nothing more will come."""
    text = ""
    while process.poll() is None and vm.MARK + "done" not in text and not vm.FATAL.search(text):
        time.sleep(1)
        with open(serial, encoding="utf-8", errors="replace") as f:
            text = f.read()
    return text


def run(hv, task, place, files=(), kargs=(), commands=JUST_RUN, limit=600):
    """`task`, a script for Domain 0, on a machine of one CPU for at most `limit` CPU seconds. What the serial line said,
    and Bochs' debugger; both are also in `place`."""
    shutil.rmtree(place, ignore_errors=True)
    os.makedirs(place)
    with open(place + "/task", "w", encoding="utf-8") as f:
        f.write(task)
    if hv == "orlop":
        kargs = ("xenstored=orlop", "consoled=orlop", "cli=orlop", *kargs)
    make_cd(vm.Config(hv=hv, task="script", initramfs="guests", cpu=MODEL, hvargs=("dom0_mem=600M,max:600M",), kargs=tuple(kargs),
                      files=(("tasks/script", place + "/task"), *files)), place)
    write_rc(place, commands)
    open(place + "/serial", "w", encoding="utf-8").close()
    env = dict(os.environ, BXSHARE=BOCHS + "/usr/share/bochs", LTDL_LIBRARY_PATH=BOCHS + "/usr/lib/x86_64-linux-gnu/bochs/plugins")
    with open(place + "/debugger", "w", encoding="utf-8") as out:
        process = subprocess.Popen(["bash", "-c", f"ulimit -t {limit}; exec \"$@\"", "bochs", vm.TOP + "/scripts/unpacked", BOCHS,
                                    "bochs-bin", "-q", "-f", place + "/rc", "-rc", place + "/commands"],
                                   env=env, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT)
        try:
            text = wait_done(process, place + "/serial")
        finally:
            process.kill()
            process.wait()
    with open(place + "/debugger", encoding="utf-8", errors="replace") as f:
        return text, f.read()
