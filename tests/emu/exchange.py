# SPDX-License-Identifier: MIT
"""Three boots with one disk, on Debian's Xen, on Orlop, and on Debian's Xen again: saved guests go from one to the other. On
Debian's Xen all programs are Debian's."""
import dataclasses

import vm


def drive(cfg, log):
    """The lines are all boots'; the first that fails is the last."""
    lines, seconds = [], 0
    for part, hv in enumerate(("xen", "orlop", "xen"), 1):
        kargs = [w.replace("=orlop", "=debian") if hv == "xen" else w for w in cfg.kargs]
        one = dataclasses.replace(cfg, hv=hv, kargs=(*kargs, f"part={part}"))
        result = vm.run(one, f"{log.removesuffix('.log')}-{part}.log" if part > 1 else log)
        lines += result.lines
        seconds += result.seconds
        if not result.ok:
            return dataclasses.replace(result, reason=f"part {part}, on {hv}: {result.reason}", lines=lines, seconds=seconds)
    return dataclasses.replace(result, lines=lines, seconds=seconds, log=log)
