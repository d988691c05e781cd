# SPDX-License-Identifier: MIT
"""The last step of ./demo, make run and make run-gdb: boots the machine, with the user at its serial line
or --batch; with --gdb QEMU waits for a debugger first."""
import dataclasses
import os
import shlex
import sys

import vm


OUR_TOOLS = ("xenstored=orlop", "consoled=orlop", "cli=orlop")


def machine(hv, task, timeout=0):
    """Domain 0 with three guests; without a hypervisor just Linux."""
    if hv == "bare":
        return vm.Config(hv=hv, task=task, initramfs="tools", cpus=2, mem=2048, timeout=timeout)
    return vm.Config(hv=hv, task=task, initramfs="guests", cpus=2, mem=2048, timeout=timeout, kargs=OUR_TOOLS,
                     hvargs=("dom0_mem=768M,max:768M",))


def batch(hv):
    cfg = machine(hv, "hello+cpus" + ("" if hv == "bare" else "+demo"), timeout=900)
    log = vm.TOP + "/build/logs/demo.log"
    print(f"Booting QEMU (log: {os.path.relpath(log, vm.TOP)}) ...", flush=True)
    result = vm.run(cfg, log)
    for task in cfg.task.split("+"):
        for line in result.section(task):
            if not line.startswith(("[", "(orlop)", "(XEN)")):
                print("  " + line)
    if result.ok:
        print(f"Domain 0 ran and powered the machine off, after {result.seconds:.0f} s.")
        return 0
    print(f"demo: {result.reason}; the end of the log:\n{result.tail(25)}")
    return 1


GDB = """QEMU waits for gdb. In another terminal:

    gdb build/orlop.syms -ex 'target remote :1234' -ex 'hbreak boot_main' -ex continue
"""


def interactive(hv, gdb):
    cfg = machine(hv, "shell")
    made = vm.add_files(cfg) if cfg.initramfs == "guests" else ""
    if made:
        cfg = dataclasses.replace(cfg, initramfs=made)
    # Ctrl-A belongs to the hypervisor's console, so QEMU's own escape is Ctrl-].
    argv = vm.command(cfg, serial="mon:stdio") + ["-echr", "0x1d"]
    argv = [a for i, a in enumerate(argv) if not (a == "-monitor" or argv[i - 1] == "-monitor")]
    if gdb:
        argv += ["-s", "-S"]
        print(GDB)
    print("+ " + shlex.join(argv) + "\n(Ctrl-], then x, ends QEMU)\n", flush=True)
    os.execvp(argv[0], argv)


if __name__ == "__main__":
    chosen = os.environ.get("HV", "orlop")
    sys.exit(batch(chosen) if "--batch" in sys.argv[1:] else interactive(chosen, "--gdb" in sys.argv[1:]))
