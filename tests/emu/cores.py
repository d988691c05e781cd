# SPDX-License-Identifier: MIT
"""The other half of the task guest-cores: who ran beside whom, by the trace that is in the log."""
import heapq

import traces

THREADS = 2  # of a core: CPUs of successive numbers
SLACK = 0.002  # us: what the file rounds to


def runs_of(trace):
    """{cpu: [(from, to, domain)]} of guests' and Domain 0's vCPUs, in order. A CPU's track has its number and one."""
    events = trace["traceEvents"]
    cpus = next(e["pid"] for e in events if e["ph"] == "M" and e["name"] == "process_name" and e["args"]["name"] == "CPUs")
    runs = {}
    for e in events:
        if e["ph"] == "X" and e["pid"] == cpus and " v" in e["name"] and not e["name"].startswith("idle"):
            runs.setdefault(e["tid"] - 1, []).append((e["ts"], e["ts"] + e["dur"], e["name"].rsplit(" v", 1)[0]))
    return {cpu: sorted(r) for cpu, r in runs.items()}


def beside(runs):
    """Yields (from, to, cpu, domain, cpu, domain) for each time in which two threads of a core ran something."""
    cores = {}
    for cpu, r in runs.items():
        cores.setdefault(cpu // THREADS, []).append([(a, b, cpu, d) for a, b, d in r])
    for lists in cores.values():
        open_runs = []
        for a, b, cpu, d in heapq.merge(*lists):
            open_runs = [o for o in open_runs if o[1] > a + SLACK and o[2] != cpu]
            for o in open_runs:
                if min(o[1], b) - a > SLACK:
                    yield a, min(o[1], b), o[2], o[3], cpu, d
            open_runs.append((a, b, cpu, d))


def judge(trace):
    """None, or what is wrong."""
    runs = runs_of(trace)
    domains = {d for r in runs.values() for _, _, d in r}
    if not {"web1", "web2", "Domain-0"} <= domains or len(runs) != 2 * THREADS:
        return f"on CPUs {sorted(runs)} ran only {sorted(domains)}"
    together = {}
    for a, b, cpu, d, other, e in beside(runs):
        if d != e:
            return f"{d} on CPU {cpu} ran beside {e} on CPU {other} for {b - a:.3f} us at {a:.3f} us"
        together[d] = together.get(d, 0) + b - a
    print("    beside themselves ran, in ms: " + ", ".join(f"{d} {t / 1000:.0f}" for d, t in sorted(together.items())))
    missing = [d for d in ("web1", "web2") if together.get(d, 0) < 1000]
    return f"{missing} never had a whole core" if missing else None


def check(result):
    """For suite.Case: None, or what is wrong."""
    trace = traces.from_log(result)
    return trace if isinstance(trace, str) else judge(trace)
