# SPDX-License-Identifier: MIT
"""The guest columns of the figures, of PV and of PVH guests: their titles, their goals and how they are shown."""
import dataclasses

import figures

OPERATIONS = {
    "getppid": "`getppid`", "first-touch": "first touch of a page", "munmap-page": "`munmap`, per page touched",
    "mprotect-page": "`mprotect`, per page", "fork-exit": "fork + exit + wait",
    "vfork-exec": "vfork + exec (static) + wait", "ping-pong": "pipe ping-pong of two processes",
    "signal": "signal to itself", "clock_gettime": "`clock_gettime`", "nanosleep-1us": "`nanosleep` of 1 us",
    "block-1MiB": "block: 1 MiB read O_DIRECT from Domain 0's ram disk", "block-4KiB": "block: random 4 KiB read",
    "tcp-1-byte": "TCP 1-byte round trip with Domain 0", "tcp-send-1MiB": "TCP 1 MiB sent to Domain 0",
    "tcp-receive-1MiB": "TCP 1 MiB received from it",
}
# Of a PV guest, instructions in all, by the issue.
TOTALS = {
    "getppid": 670, "clock_gettime": 200, "munmap-page": 2290, "mprotect-page": 940, "fork-exit": 540e3,
    "vfork-exec": 1320e3, "ping-pong": 18700, "signal": 6300, "block-1MiB": 1920e3, "block-4KiB": 63500,
    "tcp-1-byte": 84e3, "tcp-send-1MiB": 6.95e6, "tcp-receive-1MiB": 5.3e6, "create": 440e6, "create-cold": 500e6,
}
# A PV guest's, whose instructions in all may be at most half of what xl's take.
HALVES = {"save-idle": "a guest of 128 MiB saved, idle", "restore-idle": "the same restored",
          "save-random": "the same saved, with 30 MB of random bytes in memory", "restore-random": "the same restored"}
COLD = "the same, kernel not unpacked before, less `xz`"


@dataclasses.dataclass(frozen=True)
class Kind:
    """Guests of a kind: what their section says, and what the issue asks of them."""
    name: str
    heading: str
    about: str
    creations: dict     # row: title; tools' instructions are in these
    totals: dict        # row: instructions in all
    uptime: float       # seconds on a guest's clock until its first program's first line
    memory: dict        # what: (pages, title)
    more: dict = dataclasses.field(default_factory=dict)    # rows that this kind has besides OPERATIONS
    costs: bool = True  # hardware's costs at most Xen's

    def titles(self):
        return OPERATIONS | self.more | self.creations

    def prefix(self):
        """Of the names of its tests."""
        return {"pv": "guest-"}.get(self.name, f"guest-{self.name}-")


PV = Kind(
    "pv", "In a guest",
    "The same program in a guest of one vCPU and 128 MiB on the same CPU as Domain 0, each hypervisor with its own tools. Domain 0's part is in the figures.",
    {"create": "a guest of 128 MiB created", "create-cold": COLD} | HALVES, TOTALS, 3.2,
    {"plain": (16, "a guest of one vCPU"), "devices": (20, "the same with a disk and a card")})
PVH = Kind(
    "pvh", "In a PVH guest",
    "The same in a PVH guest, and the creation of hardware-assisted guests. `boot` is from `unpause` to the first line of the guest's initramfs. QEMU's port and IDE disk are read by the boot sector of an HVM guest.",
    {"create-plain": "a PVH guest of 192 MiB created", "create": "the same with a disk and a card", "create-cold": COLD, "create-micro": "a PVH micro-guest of 4 MiB created",
     "create-hvm": "an HVM guest of 64 MiB created, QEMU started"},
    {"create-plain": 60e6, "create-micro": 20e6, "create-hvm": 130e6}, 3.2,
    {"plain": (50, "a PVH guest of one vCPU"), "devices": (50, "the same with a disk and a card")},
    {"boot-guest": "boot of Debian's kernel", "qemu-port": "a port of QEMU's read: to QEMU and back",
     "qemu-sector": "a sector's 512 bytes from QEMU's IDE disk: `rep insw`"}, False)
KINDS = {"pv": PV, "pvh": PVH}
# SVM's exits, in words (APM volume 2, appendix C).
EXITS = {0x60: "interrupt", 0x64: "interrupt window", 0x6e: "RDTSC", 0x72: "CPUID", 0x78: "HLT", 0x7b: "port", 0x7c: "MSR", 0x7f: "shutdown",
         0x81: "VMMCALL", 0x87: "RDTSCP", 0x89: "WBINVD", 0x8d: "XSETBV", 0x400: "nested fault"} | \
    {at + n: f"{what}{n}{how}" for at, what, how in ((0, "CR", " read"), (0x10, "CR", " written"), (0x20, "DR", " read"), (0x30, "DR", " written"))
     for n in range(16)} | {0x40 + n: f"exception {n}" for n in range(32)}


def table_of(measured):
    """{row: figures per operation}; a cold creation is shown without the decompression itself."""
    rows = dict(measured["rows"])
    unpack = rows.pop("unpack", None)
    if unpack and "create-cold" in rows:
        cold = rows["create-cold"]
        rows["create-cold"] = dict(cold, program=cold["program"] - unpack["program"])
    for row in rows.values():
        row["hv"] -= row["scrub"]   # told apart: Xen does it while it idles
        row["total"] = row["hv"] + row["linux"] + row["program"]
    return {"rows": rows, "memory": measured["memory"], "uptime": measured["uptime"]}


def cell(kind, row, name, number):
    if not row:
        return "-"
    if name in kind.creations:
        return (f"{number(row['total'])} = tools {number(row['program'])} + Linux {number(row['linux'])}"
                f" + {number(row['hv'])}" + (f"; {number(row['scrub'])} more of scrubbing" if row["scrub"] else ""))
    return f"{number(row['total'])} = {number(row['total'] - row['hv'])} + {number(row['hv'])}"


def markdown(kind, xen, orlop, costs, number):
    """Lines; `number` formats one, `costs` are the counters to show."""
    out = ["", f"## {kind.heading}", "", kind.about, "",
           "| operation | goal | Xen 4.17 = Linux + Xen | Orlop = Linux + Orlop | Orlop / Xen |", "|---|---|---|---|---|"]
    for name, title in kind.titles().items():
        x, o = xen["rows"].get(name), orlop["rows"].get(name)
        if o:
            goal = number(kind.totals[name]) if name in kind.totals else "-"
            ratio = f"{o['hv'] / x['hv']:.0%}" if x and x["hv"] > 1 else "-"
            out.append(f"| {title} | {goal} | {cell(kind, x, name, number)} | {cell(kind, o, name, number)} | {ratio} |")
    out += [f"| boot to its first line, by its /proc/uptime | {kind.uptime * 1000:.0f} ms | {xen['uptime'] * 1000:.0f} ms"
            f" | {orlop['uptime'] * 1000:.0f} ms | |"]
    for what, (goal, title) in kind.memory.items():
        out.append(f"| memory of {title}, besides its own | {goal * 4} KiB | {xen['memory'].get(what, 0) * 4} KiB"
                   f" | {orlop['memory'].get(what, 0) * 4} KiB | |")
    out += ["", "Hardware's costs per operation, Xen / Orlop:", "",
            "| operation | " + " | ".join(costs) + " | hypercalls |", "|---|" + "---|" * (len(costs) + 1)]
    for name, title in kind.titles().items():
        x, o = xen["rows"].get(name), orlop["rows"].get(name)
        if x and o:
            cells = [f"{number(x[cost])} / {number(o[cost])}" for cost in [*costs, "hypercall"]]
            out.append(f"| {title} | " + " | ".join(cells) + " |")
    return out + (assisted(kind, xen, orlop, number) if kind.name == "pvh" else [])


def assisted(kind, xen, orlop, number):
    """What only guests on the processor's own virtualisation cost, and why they exit."""
    out = ["", "The processor's virtualisation and extended state, Xen / Orlop:", "",
           "| operation | exits | " + " | ".join(figures.ASSISTED) + " |", "|---|---|" + "---|" * len(figures.ASSISTED)]
    reasons = ["", "Exits by reason, of one operation, Xen / Orlop (as QEMU logs them; those that neither has are left out):", "",
               "| operation | exits |", "|---|---|"]
    for name, title in kind.titles().items():
        x, o = xen["rows"].get(name), orlop["rows"].get(name)
        if not x or not o:
            continue
        all_of = [sum(row["exits"].values()) for row in (x, o)]
        cells = [f"{number(x[cost])} / {number(o[cost])}" for cost in figures.ASSISTED]
        out.append(f"| {title} | {number(all_of[0])} / {number(all_of[1])} | " + " | ".join(cells) + " |")
        codes = sorted(set(x["exits"]) | set(o["exits"]), key=lambda code, x=x: -x["exits"].get(code, 0))
        pairs = ((code, number(x["exits"].get(code, 0)), number(o["exits"].get(code, 0))) for code in codes)
        told = [f"{EXITS.get(code, hex(code))} {of_xen} / {of_orlop}" for code, of_xen, of_orlop in pairs if (of_xen, of_orlop) != ("0", "0")]
        if told:
            reasons.append(f"| {title} | " + "; ".join(told) + " |")
    return out + reasons


def judge_row(kind, name, xen, orlop, number):
    """The goals that a row misses, except those of hardware's costs."""
    missed = []
    # Rows without exits hold only the machine's own interrupts, a few instructions an operation.
    if xen and orlop["hv"] > max(xen["hv"] / 2, 10) + 2:
        missed.append(f"{number(orlop['hv'])} hypervisor instructions, more than half of Xen's {number(xen['hv'])}")
    if orlop["total"] > kind.totals.get(name, orlop["total"]):
        missed.append(f"{number(orlop['total'])} instructions, more than {number(kind.totals[name])}")
    if kind.name == "pv" and name in HALVES and xen and orlop["total"] > xen["total"] / 2:
        missed.append(f"{number(orlop['total'])} instructions, more than half of xl's {number(xen['total'])}")
    return missed


def judge(kind, xen, orlop, judge_costs, number):
    """[(test, goals it misses)]; judge_costs(name, xen's row, ours) names hardware's costs that are too high."""
    found = []
    for name in kind.titles():
        x, o = xen["rows"].get(name), orlop["rows"].get(name)
        if not o:
            found.append((name, ["not measured"]))
            continue
        found.append((name, judge_row(kind, name, x, o, number) + (judge_costs(name, x, o) if x and kind.costs else [])))
    found.append(("uptime", [] if 0 < orlop["uptime"] <= kind.uptime else
                  [f"{orlop['uptime']} s until its first line, more than {kind.uptime}"]))
    for what, (goal, _) in kind.memory.items():
        pages = orlop["memory"].get(what)
        found.append((f"memory-{what}", [] if pages is not None and pages <= goal else
                      [f"{pages} pages of the hypervisor's, more than {goal}"]))
    return found
