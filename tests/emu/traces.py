# SPDX-License-Identifier: MIT
"""The other half of the task guest-trace: the file of orlop trace, read from the log and held against the description of
Chrome's trace event format, and against what ran in that machine."""
import base64
import gzip
import json
import re

# What the format asks of an event of each phase used: names of its fields, with their types.
NUMBER = (int, float)
FIELDS = {
    "M": {"name": str, "pid": int, "args": dict},
    "X": {"name": str, "cat": str, "ts": NUMBER, "dur": NUMBER, "pid": int, "tid": int},
    "i": {"name": str, "ts": NUMBER, "pid": int, "tid": int, "s": str},
    "s": {"name": str, "cat": str, "id": int, "ts": NUMBER, "pid": int, "tid": int},
    "f": {"name": str, "cat": str, "id": int, "ts": NUMBER, "pid": int, "tid": int, "bp": str},
}


def bad_form(events):
    for e in events:
        fields = FIELDS.get(e.get("ph"))
        if fields is None:
            return f"no such phase: {e}"
        wrong = [k for k, kind in fields.items() if not isinstance(e.get(k), kind)]
        if wrong or e.get("ts", 0) < 0 or e.get("dur", 0) < 0:
            return f"not the format's ({', '.join(wrong)}): {e}"
    return None


def tracks_of(events):
    """{(pid, tid): [(from, to, name)]} of the slices, in order."""
    tracks = {}
    for e in events:
        if e["ph"] == "X":
            tracks.setdefault((e["pid"], e["tid"]), []).append((e["ts"], e["ts"] + e["dur"], e["name"]))
    return {k: sorted(v) for k, v in tracks.items()}


def bad_slices(tracks):
    for track, slices in tracks.items():
        for a, b in zip(slices, slices[1:]):
            if a[1] > b[0] + 0.002:
                return f"slices of track {track} overlap: {a}, {b}"
    return None


def bad_arrows(events, tracks):
    ends = {}
    for e in events:
        if e["ph"] in "sf":
            ends.setdefault(e["id"], []).append(e["ph"])
            slices = tracks.get((e["pid"], e["tid"]), [])
            if not any(a - 0.002 <= e["ts"] <= b + 0.002 for a, b, _ in slices):
                return f"an arrow outside every slice: {e}"
    return next((f"arrow {i} has the ends {v}" for i, v in ends.items() if sorted(v) != ["f", "s"]), None)


def check_trace(trace, orlop):
    """None, or what is wrong with the parsed file."""
    events = trace["traceEvents"]
    wrong = bad_form(events)
    if wrong:
        return wrong
    tracks = tracks_of(events)
    wrong = bad_slices(tracks) or bad_arrows(events, tracks)
    if wrong:
        return wrong
    names = {e["args"]["name"]: e["pid"] for e in events if e["ph"] == "M" and e["name"] == "process_name"}
    web1 = next((pid for name, pid in names.items() if name.startswith("web1 (domain ")), None)
    if web1 is None or "CPUs" not in names or "Domain-0 (domain 0)" not in names:
        return f"processes: {sorted(names)}"
    on_cpus = {name for (pid, _), slices in tracks.items() if pid == names["CPUs"] for _, _, name in slices}
    if not {"web1 v0", "Domain-0 v0"} <= on_cpus:
        return f"on the CPUs ran only {sorted(on_cpus)}"
    states = {name for (pid, _), slices in tracks.items() if pid == web1 for _, _, name in slices}
    if not {"running", "blocked"} <= states:
        return f"web1 was only {sorted(states)}"
    pairs = {}
    for e in events:
        if e["ph"] in "sf":
            pairs.setdefault(e["id"], {})[e["ph"]] = e["pid"]
    ways = {(p["s"], p["f"]) for p in pairs.values()}
    dom0 = names["Domain-0 (domain 0)"]
    if orlop and not {(dom0, web1), (web1, dom0)} <= ways:
        return f"arrows only between {sorted(ways)}"
    return None


def from_log(result):
    """The file, parsed, or what is wrong with it."""
    log = "\n".join(result.lines)
    text = "".join(re.findall(r"^trace64 ([A-Za-z0-9+/=]+)\r?$", log, re.M))
    try:
        return json.loads(gzip.decompress(base64.b64decode(text)))
    except (ValueError, EOFError, OSError) as e:
        return f"the trace in the log: {type(e).__name__} {e}"


def check(result):
    """For suite.Case: None, or what is wrong."""
    trace = from_log(result)
    return trace if isinstance(trace, str) else check_trace(trace, any("(orlop)" in line for line in result.lines))
