# SPDX-License-Identifier: MIT
"""Boots a hypervisor with the counting plugin and reads its counts: what bench/run and bench/profile share."""
import collections
import dataclasses
import glob
import os
import re
import statistics
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TOP + "/tests/emu")
import guest_cases  # noqa: E402  (its place is known only now)
import images  # noqa: E402
import vm  # noqa: E402

OUT = TOP + "/build/bench"
ROW_BOOT, ROW_BEFORE = 63, 62
# Of guests on the processor's own virtualisation, besides: the hypervisor's instructions.
ASSISTED = ["vmrun", "vmload", "vmsave", "stgi", "clgi", "invlpga", "rdmsr", "xsave", "xrstor"]
COSTS = ["cr3", "cr4", "cr0", "invlpg", "wrmsr", "locked", "iret", "sysret", "hypercall", "fault"]
QEMU_OPTIONS = ("-icount", "shift=0,sleep=off", "-plugin")
# Domain 0's memory is bounded so that its own start-up work does not depend on what a hypervisor keeps.
HV_ARGS = ("dom0_mem=512M",)


def build():
    os.makedirs(OUT, exist_ok=True)
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden",
                    "-o", OUT + "/count.so", TOP + "/bench/count.c"], check=True)
    subprocess.run([TOP + "/dom0/build"], check=True, stdout=subprocess.DEVNULL)
    unpacked_kernel()   # before several threads ask for it


def symbols(hv):
    """[(address, name)] of the hypervisor's functions, sorted; only Orlop's are known."""
    path = TOP + "/build/orlop.syms"
    if hv != "orlop" or not os.path.exists(path):
        return []
    text = subprocess.run(["nm", "-n", path], capture_output=True, text=True, check=True).stdout
    found = []
    for line in text.splitlines():
        parts = line.split()
        if len(parts) == 3 and parts[1] in "tTwW":
            found.append((int(parts[0], 16), parts[2]))
    return found


def exit_options(log):
    """QEMU's options by which it writes each exit of a guest into `log`, and with the plugin where rows begin and end. Exits are
    among what it says of the code that it translates; of that there is nothing in this range."""
    return ("-d", "in_asm,plugin", "-dfilter", "0+1", "-D", log)


# QEMU's words for an exit: code, two words about it.
EXIT = re.compile(r"vmexit\(([0-9a-f]{8}), ")


def read_exits(log):
    """{row: [{exit code: how many} of each repetition]}"""
    rows, now = collections.defaultdict(list), collections.Counter()
    with open(log, encoding="ascii", errors="replace") as f:
        for line in f:
            if match := EXIT.match(line):
                now[int(match[1], 16)] += 1
            elif line.startswith("count: begin"):
                now = collections.Counter()
            elif line.startswith("count: end "):
                rows[int(line.split()[2])].append(now)
                now = collections.Counter()
    return rows


def plugin_option(hv, out, linux):
    option = f"{OUT}/count.so,out={out}"
    if hv != "bare":
        text = subprocess.run(["readelf", "-h", vm.hypervisor_image(hv)], capture_output=True, text=True,
                              check=True).stdout
        option += ",entry=" + re.search(r"Entry point address:\s*(0x[0-9a-f]+)", text).group(1)
    if linux:
        option += ",linux=on"
    return option


def unpacked_kernel():
    """Debian's kernel as the ELF inside its bzImage: booting that shows what is left without decompression."""
    return images.repack_kernel("elf")


# Linux's shortest timeout on Xen is 100 us by default, which would hide what the hypervisor takes for one of 1 us.
# A program's random layout decides how many page tables it has.
KERNEL_ARGS = ("quiet", "xen_timer_slop=1000", "norandmaps")


def machine(hv, counts_file, linux=False, **more):
    hvargs = (*HV_ARGS, *more.pop("hvargs", ()))
    return vm.Config(hv=hv, initramfs="bench", cpus=1, mem=768 if hv != "bare" else 512, timeout=900,
                     accel="tcg,thread=single", hvargs=hvargs,
                     extra=(*QEMU_OPTIONS, plugin_option(hv, counts_file, linux)), **more)


def boot_checked(hv, cfg, name):
    result = vm.run(cfg, f"{TOP}/build/logs/{name}.log")
    if not result.ok:
        raise SystemExit(f"bench: {hv}: {result.reason}\n{result.tail()}\n    (whole log: {result.log})")
    return result


def measure_plain_elf(hv):
    """The counts before Domain 0 when its kernel needs no decompression."""
    counts_file = f"{OUT}/{hv}-elf.counts"
    cfg = machine(hv, counts_file, task="none", kernel=unpacked_kernel(), kargs=KERNEL_ARGS)
    return collect(boot_checked(hv, cfg, f"bench-{hv}-elf"), counts_file)["before"]


def measure(hv, repetitions=5, linux=False, hvargs=()):
    """Boots Dom0 on `hv` (or without one), runs the bench in it and returns the figures:

    {"rows": {name: {"operations": n, "time": ns, counter: per operation}}, "before": {...}, "boot": {...},
     "uptime": s, "profile": {row name: {address: count}}}. A row is the median of its repetitions."""
    counts_file = f"{OUT}/{hv}.counts"
    cfg = machine(hv, counts_file, linux, task="bench", kargs=(f"secs={repetitions}", *KERNEL_ARGS), hvargs=hvargs)
    result = boot_checked(hv, cfg, f"bench-{hv}")
    return collect(result, counts_file)


# Each hypervisor with its own tools.
GUEST_WORDS = {"xen": (), "orlop": ("cli=orlop", "xenstored=orlop", "consoled=orlop")}


def compressed_kernel():
    """The payload of Debian's kernel, whose decompression a creation with a cold cache contains."""
    path = OUT + "/vmlinux.xz"
    image = images.read_kernel()
    start, length = images.payload_place(image)
    with open(path, "wb") as f:
        f.write(image[start:start + length - 4])    # the length unpacked follows the stream
    return path


def guest_name(hv, kind):
    """Of a guest's counts and log."""
    return f"{hv}-guest" if kind == "pv" else f"{hv}-{kind}-guest"


def with_device_model(cfg):
    """cfg with QEMU and the firmware in Domain 0, and a disk whose boot sector asks a port of QEMU's."""
    made = OUT + "/port-sector"
    subprocess.run(["gcc", "-m32", "-nostdlib", "-static", "-Wl,--build-id=none,-Ttext=0x7c00,--oformat=binary", "-o", made,
                    TOP + "/bench/prog/port.S"], check=True)
    cfg = guest_cases.add_hvm(cfg)
    if isinstance(cfg, str):
        raise SystemExit("bench: " + cfg)
    return dataclasses.replace(cfg, files=(*cfg.files, ("hvm/port.img", made)))


def measure_guest(hv, repetitions=5, linux=False, kind="pv", only_operations=False, logged=False):
    """The same with the bench in a guest of this kind, with rows for creating one; "memory": {what: pages of the hypervisor}.
    If `only_operations` nothing else is measured; if `logged`, while the hypervisor logs what the guest writes."""
    name = guest_name(hv, kind) + "-operations" * only_operations + "-logged" * logged
    counts_file = f"{OUT}/{name}.counts"
    brd = glob.glob(vm.FETCH + "/linux/lib/modules/*/kernel/drivers/block/brd.ko*")[0]
    cfg = vm.Config(hv=hv, initramfs="guests", task="bench-guest", cpus=1, mem=1280, timeout=1500,
                    kernel=unpacked_kernel(), kargs=(f"secs={repetitions}", f"guests={kind}", *KERNEL_ARGS, *GUEST_WORDS[hv],
                           *["only=operations"] * only_operations, *["logged=1"] * logged),
                    cpu="qemu64,+fsgsbase" if kind == "pv" else "qemu64,+npt",
                    accel="tcg,thread=single", hvargs=("dom0_mem=768M,max:768M",),
                    files=(("modules/99-brd.ko", brd), ("bench/xz", "/usr/bin/xz"),
                           ("bench/vmlinux.xz", compressed_kernel())),
                    extra=(*QEMU_OPTIONS, plugin_option(hv, counts_file, linux)))
    exits_file = f"{OUT}/{name}.exits"
    if kind == "pvh":
        cfg = with_device_model(dataclasses.replace(cfg, extra=(*cfg.extra, *exit_options(exits_file))))
    result = boot_checked(hv, cfg, f"bench-{name}")
    measured = collect(result, counts_file, read_exits(exits_file) if kind == "pvh" else {})
    measured["memory"] = {m.group(1): int(m.group(2)) for line in result.lines
                          if (m := re.match(r"bench-memory: (\w+) (-?\d+)", line))}
    for name, row in measured["rows"].items():
        row["scrub"] = within(measured["profile"].get(name, {}), "arch_clear_page", hv) if kind == "pvh" and name.startswith("create") else 0
    measured["uptime"] = next((float(m.group(1)) for line in result.lines
                               if (m := re.match(r"orlop-guest: b1: uptime ([\d.]+)", line))), 0)
    return measured


def within(profile, function, hv):
    """How many instructions a profile has in one of the hypervisor's functions (none, where its symbols are not known)."""
    found = symbols(hv)
    start = next((addr for addr, name in found if name == function), None)
    stop = next((addr for addr, _ in found if start is not None and addr > start), 0)
    return sum(count for addr, count in profile.items() if start is not None and start <= addr < stop)


def median_exits(runs, operations):
    """{exit code: per operation, the median of the repetitions}"""
    return {code: statistics.median(run[code] for run in runs) / operations for code in sorted({code for run in runs for code in run})}


def collect(result, counts_file, exits=None):
    names, printed = {}, collections.defaultdict(list)
    for line in result.lines:
        match = re.match(r"bench: (\d+) (\S+) (\d+) (\d+)", line)
        if match:
            number, name, operations, ns = match.groups()
            names[int(number)] = name
            printed[name].append((int(operations), int(ns)))
    names.update({ROW_BOOT: "boot", ROW_BEFORE: "before"})
    counted, profile = collections.defaultdict(list), collections.defaultdict(dict)
    with open(counts_file, encoding="ascii") as f:
        for line in f:
            kind, row, *rest = line.split()
            name = names.get(int(row), row)
            if kind == "profile":
                profile[name][int(rest[0], 16)] = int(rest[1])
            else:
                counted[name].append({k: int(v) for k, v in (word.split("=") for word in rest)})
    rows = {}
    for name, runs in printed.items():
        operations = runs[0][0]
        row = {"operations": operations, "time": statistics.median(ns for _, ns in runs) / operations}
        for key in counted[name][0]:
            row[key] = statistics.median(c[key] for c in counted[name]) / operations
        if exits:
            row["exits"] = median_exits([run for number, of in names.items() if of == name for run in exits[number]], operations)
        rows[name] = row
    uptime = next((float(m.group(1)) for line in result.lines
                   if (m := re.match(r"orlop-dom0: uptime ([\d.]+)", line))), 0)
    return {"rows": rows, "before": counted["before"][0] if counted["before"] else {},
            "boot": counted["boot"][0] if counted["boot"] else {}, "uptime": uptime, "profile": profile,
            "runs": {name: len(runs) for name, runs in printed.items()}}
