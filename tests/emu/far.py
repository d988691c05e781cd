# SPDX-License-Identifier: MIT
"""Two machines side by side, joined by a network and with one disk that both see: a guest goes from one to the other."""
import dataclasses
import os
import socket

import cases
import vm


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def half(cfg, role, network, disk, mac):
    """One of the two machines. Nobody may keep what the other one does not see: no cache, no lock."""
    return dataclasses.replace(
        cfg, kargs=(*cfg.kargs, f"role={role}"), extra=(
            "-drive", f"if=none,id=shared,file={disk},format=raw,file.locking=off,cache=directsync",
            "-device", "virtio-blk-pci,drive=shared", "-netdev", f"socket,id=join,{network}",
            "-device", f"virtio-net-pci,netdev=join,mac={mac}", *cfg.extra))


def pump(machine):
    """What came of a machine; whether it is over: it ended, or nothing good can come any more."""
    new = machine.pump(0.05)
    if new is None:
        machine.process.wait()
    return new is None or any(vm.FATAL.search(line) for line in new)


def drive(cfg, log):
    """Runs both until both have ended; the verdict and the lines are both machines'."""
    port, disk = free_port(), vm.TOP + f"/build/tmp/shared-{os.getpid()}"
    cases.make_ext4(disk, 64)
    log_far = log.removesuffix(".log") + "-far.log"
    near = vm.Machine(half(cfg, "near", f"listen=127.0.0.1:{port}", disk, "52:54:00:00:00:01"), log)
    machines = [near]
    try:
        near.wait_for(vm.MARK + "init", 120)    # it listens
        machines.append(vm.Machine(half(cfg, "far", f"connect=127.0.0.1:{port}", disk, "52:54:00:00:00:03"), log_far))
        over = [False, False]
        while not all(over) and near.elapsed() < vm.PATIENCE * cfg.timeout:
            over = [done or pump(m) for done, m in zip(over, machines)]
    finally:
        for m in machines:
            m.stop()
        os.unlink(disk)
    told = [vm.verdict(m, m.process.returncode == 0, next((x for x in m.lines if vm.FATAL.search(x)), "")) for m in machines]
    reason = "; ".join(f"{name}: {why}" for name, (ok, why) in zip(("near", "far"), told) if not ok)
    return vm.Result(not reason, reason, near.lines + machines[1].lines, near.elapsed(), log)
