# SPDX-License-Identifier: MIT
"""The system tests with guests: whose programs make and serve them, with how many CPUs, and what is done with them
(dom0/tasks/guest-*)."""
import vm

# Whose xenstored, console daemon and command line.
MIXES = {"debian": ("debian", "debian", "debian"), "store": ("orlop", "debian", "debian"),
         "daemons": ("orlop", "orlop", "debian"), "orlop": ("orlop", "orlop", "orlop")}

# Task, mix, CPUs of the machine and of each guest, only in --long.
TESTS = [
    ("life", "debian", 1, 1, True),
    ("life", "store", 2, 2, True),
    ("life", "daemons", 4, 4, True),
    ("life", "orlop", 2, 4, True),
    ("life", "orlop", 2, 2, False),
    ("io", "debian", 2, 1, True),
    ("io", "store", 1, 2, True),
    ("io", "daemons", 4, 3, True),
    ("io", "orlop", 2, 2, True),
    ("fail", "debian", 1, 1, True),
    ("fail", "store", 1, 1, True),
    ("fail", "orlop", 2, 1, False),
    ("daemons", "store", 1, 1, True),
    ("daemons", "orlop", 2, 2, True),
]


def config(task, mix, cpus, vcpus):
    whose = zip(("xenstored", "consoled", "cli"), MIXES[mix])
    return vm.Config(task=f"guest-{task}+audit", initramfs="guests", cpus=cpus, mem=2048, timeout=900,
                     hvargs=("dom0_mem=768M,max:768M",),
                     kargs=(f"vcpus={vcpus}", *(f"{key}={value}" for key, value in whose)))


def all_cases(case, check):
    """case: suite.Case; check: what must be true of the hypervisor's log afterwards."""
    return [case(f"guest-{task}-{mix}-{vcpus}of{cpus}", config(task, mix, cpus, vcpus), long=long, check=check,
                 hvs=("orlop", "xen")) for task, mix, cpus, vcpus, long in TESTS]
