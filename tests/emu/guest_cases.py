# SPDX-License-Identifier: MIT
"""The system tests with guests: whose programs make and serve them, with how many CPUs, and what is done with them
(dom0/tasks/guest-*)."""
import dataclasses
import gzip
import os
import subprocess

import cases
import cores
import exchange
import far
import images
import traces
import views
import vm
import vnc
import cpio as newc  # dom0's: vm.py says where

# Whose xenstored, console daemon and command line.
MIXES = {"debian": ("debian", "debian", "debian"), "store": ("orlop", "debian", "debian"),
         "daemons": ("orlop", "orlop", "debian"), "orlop": ("orlop", "orlop", "orlop")}

# Task (and one more in the same boot), mix, CPUs of the machine and of each guest, only in --long.
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
    ("fail+guest-flood+guest-kernels", "orlop", 2, 1, False),
    ("save", "debian", 2, 1, True),
    ("save", "debian", 2, 4, True),
    ("move", "orlop", 2, 1, False),
    ("move", "orlop", 2, 4, True),
    ("migrate", "orlop", 2, 1, True),
    ("torn", "orlop", 2, 1, True),
    ("daemons", "store", 1, 1, True),
    ("daemons", "orlop", 2, 2, True),
]


# The same with PVH guests.
PVH_TESTS = [
    ("pvh", "debian", 1, 1, False),
    ("pvh", "orlop", 2, 4, False),
    ("life", "debian", 1, 1, True),
    ("life", "orlop", 2, 2, True),
    ("io", "debian", 2, 1, True),
    ("io", "orlop", 2, 2, True),
]


def config(task, mix, cpus, vcpus, kind="pv", words=()):
    whose = zip(("xenstored", "consoled", "cli"), MIXES[mix])
    return vm.Config(task=f"guest-{task}+audit", initramfs="guests", cpus=cpus, mem=2048, timeout=2400 if task in ("migrate", "torn") else 900,
                     hvargs=("dom0_mem=768M,max:768M",),
                     kargs=(f"vcpus={vcpus}", f"guests={kind}", *(f"{key}={value}" for key, value in whose), *words))


def add_socat(cfg):
    """By which Ganeti lets xl migrate."""
    if reason := vm.missing_group("socat"):
        return reason
    return dataclasses.replace(cfg, files=(("usr/bin/socat", vm.FETCH + "/socat/usr/bin/socat"),))


def add_images(cfg):
    """GRUB's image, qemu-nbd and a qcow2 disk with an empty ext4 file system."""
    if reason := vm.missing_group("images"):
        return reason
    have, made = vm.FETCH + "/images", vm.TOP + "/build/tmp/disk"
    os.makedirs(os.path.dirname(made), exist_ok=True)
    cases.make_ext4(made, 64)
    subprocess.run([vm.TOP + "/scripts/unpacked", have, "qemu-img", "convert", "-q", "-O", "qcow2", made, made + ".qcow2"], check=True)
    os.unlink(made)
    return dataclasses.replace(cfg, files=(
        ("images/grub-x86_64-xen.bin", have + "/usr/lib/grub-xen/grub-x86_64-xen.bin"),
        ("images/disk.qcow2", made + ".qcow2"), ("usr/bin/qemu-nbd", have + "/usr/bin/qemu-nbd")))


def add_grub(cfg):
    """GRUB's image for PVH guests, where its package has it."""
    if reason := vm.missing_group("images"):
        return reason
    image = "usr/lib/grub-xen/grub-i386-xen_pvh.bin"
    return dataclasses.replace(cfg, files=((image, f"{vm.FETCH}/images/{image}"),))


def boot_disk(name):
    """A small disk with the boot sector tests/emu/NAME.S, packed."""
    made = f"{vm.TOP}/build/tmp/{name}"
    os.makedirs(os.path.dirname(made), exist_ok=True)
    subprocess.run(["gcc", "-m32", "-nostdlib", "-static", "-Wl,--build-id=none,-Ttext=0x7c00,--oformat=binary", "-o", made,
                    f"{vm.TOP}/tests/emu/{name}.S"], check=True)
    with open(made, "rb") as f, gzip.open(made + ".gz", "wb") as out:
        out.write(f.read())
    return made + ".gz"


def add_qemu(cfg):
    """QEMU as device model."""
    if reason := vm.missing_group("hvm"):
        return reason
    have = vm.FETCH + "/hvm/usr"
    return dataclasses.replace(cfg, files=cfg.files + (
        ("usr/libexec/xen-qemu-system-i386", have + "/libexec/xen-qemu-system-i386"),
        ("usr/share/qemu/keymaps/en-us", have + "/share/qemu/keymaps/en-us")))


def add_hvm(cfg):
    """QEMU, the firmware, and disks with boot sectors."""
    cfg = add_qemu(cfg)
    if isinstance(cfg, str):
        return cfg
    have = vm.FETCH + "/hvm/usr"
    boot = os.path.dirname(os.readlink(vm.FETCH + "/tools/xen-bin")) + "/boot/hvmloader"
    return dataclasses.replace(cfg, files=cfg.files + (
        *(("usr/share/qemu/" + n, f"{have}/share/qemu/{n}") for n in ("linuxboot.bin", "linuxboot_dma.bin")),
        ("usr/share/seabios/bios-256k.bin", have + "/share/seabios/bios-256k.bin"),
        (boot, f"{vm.FETCH}/tools/{boot}"), ("hvm/disk.img.gz", boot_disk("bootsector")),
        ("hvm/screen.img.gz", boot_disk("screensector")),
        *((f"usr/share/seabios/vgabios-{n}.bin", f"{have}/share/seabios/vgabios-{n}.bin") for n in ("cirrus", "stdvga"))))


def add_modules(cfg, place, names):
    """An archive of more modules for a guest, which its initramfs loads before the usual ones."""
    import mkinitramfs  # pylint: disable=import-outside-toplevel
    made, modules = f"{vm.TOP}/build/tmp/{place.replace('/', '-')}", newc.Cpio()
    os.makedirs(os.path.dirname(made), exist_ok=True)
    for i, (name, content) in enumerate(mkinitramfs.module_order(names)):
        modules.text(f"modules/0{i:02d}-{name}", content)
    modules.write(made)
    return dataclasses.replace(cfg, files=(*cfg.files, (place, made)))


def add_backend(cfg):
    """What a guest needs that serves ram disks."""
    return add_modules(cfg, "backend/modules.cpio", ["brd", "xen-blkback"])


def add_systems(cfg):
    """The same, and CDs of systems that know nothing of Xen."""
    cfg = add_hvm(cfg)
    if isinstance(cfg, str):
        return cfg
    if reason := vm.missing_group("systems"):
        return reason
    have = vm.FETCH + "/systems/usr/lib"
    return dataclasses.replace(cfg, files=cfg.files + (
        ("systems/memtest.iso", have + "/memtest86+/memtest86+x64.iso"), ("systems/ipxe.iso", have + "/ipxe/ipxe.iso"),
        ("systems/grub.iso", have + "/grub-rescue/grub-rescue-cdrom.iso")))


def add_hvm_linux(cfg):
    """The same, GRUB, and the modules of emulated devices for the guest."""
    import mkinitramfs  # pylint: disable=import-outside-toplevel
    cfg = add_hvm(cfg)
    if isinstance(cfg, str):
        return cfg
    cfg = add_modules(cfg, "hvm/modules.cpio", ["ata_piix", "sd_mod", "e1000"])
    roms = tuple((f"usr/share/qemu/efi-{card}.rom", f"{vm.FETCH}/hvm/usr/lib/ipxe/qemu/efi-{card}.rom") for card in ("e1000", "rtl8139"))
    return dataclasses.replace(cfg, files=cfg.files + roms + (("hvm/grub-head.gz", images.grub_head(mkinitramfs.DISK_MIB)),))


def add_ovmf(cfg):
    """QEMU, OVMF, and a disk with GRUB for UEFI."""
    cfg = add_hvm(cfg)
    if isinstance(cfg, str):
        return cfg
    if reason := vm.missing_group("efi"):
        return reason
    return dataclasses.replace(cfg, files=cfg.files + (
        ("usr/share/ovmf/OVMF.fd", vm.FETCH + "/efi/usr/share/ovmf/OVMF.fd"), ("hvm/efi.img.gz", images.efi_disk("GRUB by OVMF"))))


def add_hvm_linux32(cfg):
    """QEMU, the firmware, GRUB, and the 32-bit kernel with an initramfs of its own."""
    import mkinitramfs  # pylint: disable=import-outside-toplevel
    cfg = add_hvm(cfg)
    if isinstance(cfg, str):
        return cfg
    if reason := vm.missing_group("linux32"):
        return reason
    made = f"{vm.TOP}/build/tmp/linux32-initrd"
    mkinitramfs.guest("linux32").write(made)
    return dataclasses.replace(cfg, files=cfg.files + (
        ("hvm/linux32/vmlinuz", os.path.realpath(vm.FETCH + "/linux32/boot/vmlinuz")), ("hvm/linux32/initrd", made),
        ("hvm/grub-head.gz", images.grub_head(mkinitramfs.DISK_MIB))))


def own_programs(case, check):
    """What only Orlop's programs do."""
    def view(result):
        return check(result) or views.check(result)

    def trace(result):
        return check(result) or traces.check(result)

    def core(result):
        return check(result) or cores.check(result)
    one_domain = dataclasses.replace(config("cores", "orlop", 4, 4), extra=("-smp", "4,sockets=1,cores=2,threads=2"),
                                     hvargs=("dom0_mem=768M,max:768M", "sched-gran=core"))
    configs = vm.TOP + "/tests/cli/configs"
    view_config = dataclasses.replace(config("view", "orlop", 2, 1), files=tuple(
        ("configs/" + name, f"{configs}/{name}") for name in sorted(os.listdir(configs))) + (
            ("configs/xl-keys.txt", vm.TOP + "/tests/cli/xl-keys.txt"),))
    counted = dataclasses.replace(config("shares", "orlop", 1, 1), extra=("-icount", "shift=3,sleep=off"))
    return [case("guest-view", view_config, check=view, hvs=("orlop", "xen")),
            case("guest-images", config("images", "orlop", 2, 1), check=check, make=add_images, long=True, hvs=("orlop", "xen")),
            case("guest-actions", config("actions", "orlop", 2, 1), check=check, long=True, hvs=("orlop", "xen")),
            case("guest-pools", config("pools", "orlop", 2, 1), check=check, long=True, hvs=("orlop", "xen")),
            case("guest-shares", counted, check=check, hvs=("orlop",)),
            case("guest-cores", one_domain, check=core, long=True),
            case("guest-trace", config("trace", "orlop", 2, 1), check=trace, long=True, hvs=("orlop", "xen")),
            case("guest-far", dataclasses.replace(config("far", "orlop", 2, 1), timeout=1200), make=add_socat, check=check, drive=far.drive,
                 long=True, hvs=("orlop",)),
            case("guest-verify", dataclasses.replace(config("verify", "orlop", 2, 4, words=("verify=20",)), timeout=3000), check=check, long=True,
                 hvs=("orlop",)),
            case("guest-verify-io", dataclasses.replace(config("verify", "orlop", 2, 4, words=("verify=4", "load=all")), timeout=1500), check=check,
                 long=True, hvs=("orlop",)),
            # One and the same processor, so that neither finds features that it has not.
            case("guest-exchange", dataclasses.replace(config("exchange", "orlop", 2, 2), cpu="qemu64"), disks=("virtio",), check=check,
                 drive=exchange.drive, long=True, hvs=("orlop",)),
            case("guest-moves-100", dataclasses.replace(config("moves", "orlop", 2, 2, words=("moves=100",)), timeout=3000), check=check, long=True,
                 hvs=("orlop",)),
            case("guest-cut", config("cut", "orlop", 2, 1), check=check, long=True, hvs=("orlop", "xen"))]


def all_cases(case, check):
    """case: suite.Case; check: what must be true of the hypervisor's log afterwards."""
    def screens(result):
        return check(result) or vnc.check_screen(result)

    def vfb(result):
        return check(result) or vnc.check_vfb(result)

    return [case(f"guest-{task.split('+')[0]}-{mix}-{vcpus}of{cpus}",
                 config(task, mix, cpus, vcpus, words=("migrate=1", "saves=3", "more=1") if task in ("save", "move") and long else ()), long=long, check=check,
                 hvs=("orlop", "xen")) for task, mix, cpus, vcpus, long in TESTS] + \
        [case(f"guest-{'' if task == 'pvh' else 'pvh-'}{task}-{mix}-{vcpus}of{cpus}", config(task, mix, cpus, vcpus, "pvh"),
              long=long, check=check, hvs=("orlop",)) for task, mix, cpus, vcpus, long in PVH_TESTS] + \
        own_programs(case, check) + \
        [case("guest-backend", config("backend", "orlop", 2, 1), make=add_backend, check=check, long=True, hvs=("orlop",))] + \
        [case("guest-hvm", dataclasses.replace(config("hvm", "debian", 2, 1), mem=1536), make=add_hvm, check=check,
              hvs=("orlop", "xen")),
         case("guest-grub", config("grub", "orlop", 2, 1), make=add_grub, check=check, long=True, hvs=("orlop",)),
         case("guest-systems", dataclasses.replace(config("systems", "orlop", 2, 1), mem=1536, timeout=1800), make=add_systems,
              check=check, long=True, hvs=("orlop",)),
         case("guest-vfb", config("vfb", "orlop", 2, 1), make=add_qemu, check=vfb, long=True, hvs=("orlop",)),
         case("guest-hvm-orlop", dataclasses.replace(config("hvm", "orlop", 2, 1), mem=1536), make=add_hvm, check=screens,
              hvs=("orlop",)),
         case("guest-hvm-cycles-20", dataclasses.replace(config("hvm-cycles", "orlop", 2, 1, words=("cycles=20",)), mem=1536), make=add_hvm,
              check=check, long=True, hvs=("orlop",)),
         case("guest-hvm-chaos", dataclasses.replace(config("hvm-chaos", "orlop", 2, 1, words=("chaos=120",)), mem=1536), make=add_hvm,
              check=check, long=True, hvs=("orlop",))] + \
        [case(f"guest-hvm-linux-{mix}", dataclasses.replace(config("hvm-linux", mix, 2, 2), mem=1536, timeout=1800), make=add_hvm_linux,
              check=check, long=True, hvs=("orlop", "xen") if mix == "debian" else ("orlop",)) for mix in ("debian", "orlop")] + \
        [case(f"guest-ovmf-{mix}", dataclasses.replace(config("ovmf", mix, 2, 1), mem=1536), make=add_ovmf, check=check, long=True,
              hvs=("orlop",)) for mix in ("debian", "orlop")] + \
        [case("guest-hvm-linux32", dataclasses.replace(config("hvm-linux32", "orlop", 2, 2), mem=1536, timeout=1200), make=add_hvm_linux32,
              check=check, long=True, hvs=("orlop",))]
