# SPDX-License-Identifier: MIT
"""The other half of the task guest-view: the JSON that orlop's commands printed in Domain 0, read from the log."""
import json
import re


def web1(rows):
    found = [r for r in rows if r["name"] == "web1"]
    return found[0] if len(found) == 1 else {}


# For each command whether its JSON says what it must.
EXPECTED = {
    "list": lambda j: j[0]["name"] == "Domain-0" and web1(j)["memory_kib"] == 131072
        and web1(j)["state"] in ("running", "blocked", "runnable") and len(web1(j)["uuid"]) == 36,
    "vcpu-list": lambda j: [r["affinity"] for r in j if r["name"] == "web1"] == ["all", "all"],
    "vcpu-pin": lambda j: j["name"] == "web1" and j["vcpu"] == "all" and j["cpus"] == "all",
    "vcpu-set": lambda j: j["name"] == "web1" and j["vcpus"] == 2,
    "mem-set": lambda j: j["name"] == "web1" and 124 << 10 in j.values(),
    "mem-max": lambda j: j["name"] == "web1" and 160 << 10 in j.values(),
    "block-list": lambda j: [(r["vdev"], r["id"], r["mode"]) for r in j] == [("xvda", 51712, "w"), ("xvdb", 51728, "w")],
    "network-list": lambda j: [r["mac"] for r in j] == ["00:16:3e:00:00:02", "00:16:3e:00:00:44"],
    "network-detach": lambda j: j["name"] == "web1" and j["devid"] == 1,
    "info": lambda j: j["domains"] == 2 and 0 < j["free_memory_kib"] < j["memory_kib"] and j["cpus"] >= 1,
    "info web1": lambda j: j["disks"][0]["dev"] == "xvda" and j["cards"][0]["mac"] == "00:16:3e:00:00:02",
    "uptime": lambda j: 0 < web1(j)["uptime_s"] < j[0]["uptime_s"],
    "sched": lambda j: web1(j)["weight"] == 256 and web1(j)["cap"] == 0,
    "dmesg": lambda j: "line" in j,
    "top": lambda j: 0 <= web1(j["domains"])["cpu_percent"] <= 100 and j["cpus"] >= 1,
    "xenstore ls": lambda j: any(n["path"].endswith("/device/vbd/51712/state") and n["value"] == "4" for n in j),
    "xenstore read": lambda j: list(j.values()) == ["web1"],
    "help": lambda j: {"list", "create", "top"} <= {c["name"] for c in j},
    "help config": lambda j: {"supported", "ignored", "later", "never"} == {k["state"] for k in j},
    "version": lambda j: j["abi"] in ("4.17", "4.20"),
    "events 1": lambda j: j["event"] == "paused" and j["name"] == "web1",
    "events 2": lambda j: j["event"] in ("running", "renamed"),
    "log": lambda j: any("web1: up" in line for line in j["lines"]),
}


def check(result):
    """For suite.Case: None, or what is wrong."""
    seen, log = set(), "\n".join(result.lines)
    for name, text in re.findall(r"^json ([^:]*?): (.*?)\r?$", log, re.M):
        key = max((k for k in EXPECTED if name.startswith(k)), key=len, default=None)
        if key is None:
            return f"json {name}: nobody expects this"
        try:
            good = EXPECTED[key](json.loads(text))
        except (ValueError, KeyError, IndexError, TypeError) as e:
            return f"json {name}: {type(e).__name__} {e} in {text[:200]}"
        if not good:
            return f"json {name}: not as expected: {text[:300]}"
        seen.add(key)
    missing = set(EXPECTED) - seen - ({"log"} if "view: console" not in log else set())
    return f"no JSON of {', '.join(sorted(missing))}" if missing else None
