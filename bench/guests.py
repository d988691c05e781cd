# SPDX-License-Identifier: MIT
"""The guest columns of the figures: their titles, their goals and how they are shown."""

TITLES = {
    "getppid": "`getppid`", "first-touch": "first touch of a page", "munmap-page": "`munmap`, per page touched",
    "mprotect-page": "`mprotect`, per page", "fork-exit": "fork + exit + wait",
    "vfork-exec": "vfork + exec (static) + wait", "ping-pong": "pipe ping-pong of two processes",
    "signal": "signal to itself", "clock_gettime": "`clock_gettime`", "nanosleep-1us": "`nanosleep` of 1 us",
    "block-1MiB": "block: 1 MiB read O_DIRECT from Domain 0's ram disk", "block-4KiB": "block: random 4 KiB read",
    "tcp-1-byte": "TCP 1-byte round trip with Domain 0", "tcp-send-1MiB": "TCP 1 MiB sent to Domain 0",
    "tcp-receive-1MiB": "TCP 1 MiB received from it",
    "create": "a guest of 128 MiB created", "create-cold": "the same, kernel not unpacked before, less `xz`",
}
# Instructions in all, by the issue.
TOTALS = {
    "getppid": 670, "clock_gettime": 200, "munmap-page": 2290, "mprotect-page": 940, "fork-exit": 540e3,
    "vfork-exec": 1320e3, "ping-pong": 18700, "signal": 6300, "block-1MiB": 1920e3, "block-4KiB": 63500,
    "tcp-1-byte": 84e3, "tcp-send-1MiB": 6.95e6, "tcp-receive-1MiB": 5.3e6, "create": 440e6, "create-cold": 500e6,
}
CREATIONS = ("create", "create-cold")
UPTIME = 3.2  # seconds on a guest's clock until its first program's first line
MEMORY = {"plain": (16, "a guest of one vCPU"), "devices": (20, "the same with a disk and a card")}  # pages


def table_of(measured):
    """{row: figures per operation}; a cold creation is shown without the decompression itself."""
    rows = dict(measured["rows"])
    unpack = rows.pop("unpack", None)
    if unpack and "create-cold" in rows:
        cold = rows["create-cold"]
        rows["create-cold"] = dict(cold, program=cold["program"] - unpack["program"])
    for row in rows.values():
        row["total"] = row["hv"] + row["linux"] + row["program"]
    return {"rows": rows, "memory": measured["memory"], "uptime": measured["uptime"]}


def cell(row, name, number):
    if not row:
        return "-"
    if name in CREATIONS:
        return (f"{number(row['total'])} = tools {number(row['program'])} + Linux {number(row['linux'])}"
                f" + {number(row['hv'])}")
    return f"{number(row['total'])} = {number(row['total'] - row['hv'])} + {number(row['hv'])}"


def markdown(xen, orlop, costs, number):
    """Lines; `number` formats one, `costs` are the counters to show."""
    out = ["", "## In a guest", "",
           "The same program in a guest of one vCPU and 128 MiB on the same CPU as Domain 0, each hypervisor with its "
           "own tools. Domain 0's part is in the figures.", "",
           "| operation | goal | Xen 4.17 = Linux + Xen | Orlop = Linux + Orlop | Orlop / Xen |", "|---|---|---|---|---|"]
    for name, title in TITLES.items():
        x, o = xen["rows"].get(name), orlop["rows"].get(name)
        if o:
            goal = number(TOTALS[name]) if name in TOTALS else "-"
            ratio = f"{o['hv'] / x['hv']:.0%}" if x and x["hv"] > 1 else "-"
            out.append(f"| {title} | {goal} | {cell(x, name, number)} | {cell(o, name, number)} | {ratio} |")
    out += [f"| boot to its first line, by its /proc/uptime | {UPTIME * 1000:.0f} ms | {xen['uptime'] * 1000:.0f} ms"
            f" | {orlop['uptime'] * 1000:.0f} ms | |"]
    for what, (goal, title) in MEMORY.items():
        out.append(f"| memory of {title}, besides its own | {goal * 4} KiB | {xen['memory'].get(what, 0) * 4} KiB"
                   f" | {orlop['memory'].get(what, 0) * 4} KiB | |")
    out += ["", "Hardware's costs per operation, Xen / Orlop:", "",
            "| operation | " + " | ".join(costs) + " | hypercalls |", "|---|" + "---|" * (len(costs) + 1)]
    for name, title in TITLES.items():
        x, o = xen["rows"].get(name), orlop["rows"].get(name)
        if x and o:
            cells = [f"{number(x[cost])} / {number(o[cost])}" for cost in [*costs, "hypercall"]]
            out.append(f"| {title} | " + " | ".join(cells) + " |")
    return out


def judge_row(name, xen, orlop, number):
    """The goals that a row misses, except those of hardware's costs."""
    missed = []
    if xen and orlop["hv"] > xen["hv"] / 2 + 2:
        missed.append(f"{number(orlop['hv'])} hypervisor instructions, more than half of Xen's {number(xen['hv'])}")
    if orlop["total"] > TOTALS.get(name, orlop["total"]):
        missed.append(f"{number(orlop['total'])} instructions, more than {number(TOTALS[name])}")
    return missed


def judge(xen, orlop, judge_costs, number):
    """[(test, goals it misses)]; judge_costs(name, xen's row, ours) names hardware's costs that are too high."""
    found = []
    for name in TITLES:
        x, o = xen["rows"].get(name), orlop["rows"].get(name)
        if not o:
            found.append((name, ["not measured"]))
            continue
        found.append((name, judge_row(name, x, o, number) + (judge_costs(name, x, o) if x else [])))
    found.append(("uptime", [] if 0 < orlop["uptime"] <= UPTIME else
                  [f"{orlop['uptime']} s until its first line, more than {UPTIME}"]))
    for what, (goal, _) in MEMORY.items():
        pages = orlop["memory"].get(what)
        found.append((f"memory-{what}", [] if pages is not None and pages <= goal else
                      [f"{pages} pages of the hypervisor's, more than {goal}"]))
    return found
