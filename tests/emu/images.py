# SPDX-License-Identifier: MIT
"""Kernels and boot media made from Debian's kernel: other payload formats, damage, a GRUB CD, the head of a GRUB disk."""
import dataclasses
import glob
import gzip
import lzma
import os
import struct
import subprocess
import tempfile
import zlib

import vm

TMP = vm.TOP + "/build/tmp"
VMLINUZ = vm.FETCH + "/linux/boot/vmlinuz"


def payload_place(image):
    """Where a bzImage's compressed kernel lies: offset and length in the file (boot protocol 2.08)."""
    setup_sectors = image[0x1f1] or 4
    offset, length = (int.from_bytes(image[at:at + 4], "little") for at in (0x248, 0x24c))
    return (setup_sectors + 1) * 512 + offset, length


def read_kernel():
    with open(VMLINUZ, "rb") as f:
        return f.read()


def unpacked():
    """The ELF inside: Debian 12 packs it with xz, Debian 13 with zstd. The length unpacked follows the stream."""
    image = read_kernel()
    start, length = payload_place(image)
    payload = image[start:start + length]
    if payload.startswith(b"\xfd7zXZ"):
        return lzma.LZMADecompressor().decompress(payload)
    return subprocess.run(["zstd", "-dcq"], input=payload[:-4], capture_output=True, check=True).stdout


def with_payload(image, payload):
    """The bzImage with another payload: like the kernel's build, payload and its unpacked size behind it."""
    start, _ = payload_place(image)
    changed = bytearray(image[:start]) + payload
    changed[0x24c:0x250] = len(payload).to_bytes(4, "little")
    changed += bytes(-len(changed) % 16)
    return bytes(changed)


def save(name, make):
    """build/tmp/NAME with what make() returns; made once for each kernel that is fetched."""
    path = f"{TMP}/{name}"
    if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(vm.FETCH + "/.linux.done"):
        os.makedirs(TMP, exist_ok=True)
        data = make()
        with tempfile.NamedTemporaryFile(dir=TMP, delete=False) as f:
            f.write(data)
        os.replace(f.name, path)
    return path


def compress(form, data):
    if form == "gzip":
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        return packer.compress(data) + packer.flush()
    command = {"lz4": ["lz4", "-l", "-1", "-c"], "zstd": ["zstd", "-1", "-q", "-c"]}[form]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def repack_kernel(form):
    """Debian's kernel with its payload in this format, or as the bare ELF."""
    def make():
        data = unpacked()
        if form == "elf":
            return data
        size = len(data).to_bytes(4, "little")
        # gzip ends in the size by itself; to the others the kernel's build adds it.
        payload = compress(form, data) + (b"" if form == "gzip" else size)
        return with_payload(read_kernel(), payload)
    return save(f"kernel-{form}", make)


def damaged_kernel(how):
    def make():
        image = bytearray(read_kernel())
        start, length = payload_place(image)
        if how == "truncated":
            return bytes(image[:len(image) // 2])
        if how == "corrupt":
            middle = start + length // 2
            for i in range(middle, middle + 4096):
                image[i] ^= 0x5a
            return bytes(image)
        if how == "text":
            return b"This is not a kernel.\n" * 1000
        # The notes' owner name says that the kernel knows the ABI: without it, it is another kind of kernel.
        return unpacked().replace(b"Xen\0", b"Nex\0")
    return save(f"kernel-{how}", make)


GRUB = "/usr/lib/grub/i386-pc"
GRUB_MODULES = ["biosdisk", "part_msdos", "ext2", "normal", "linux", "serial", "terminal", "echo", "boot"]
HEAD = 1 << 20      # where the partition begins


def grub_head(partition_mib):
    """The first MiB of a disk that a BIOS boots: GRUB behind the boot sector, as grub-install puts it, which reads
    /boot/grub/grub.cfg of the one partition that follows."""
    def make():
        with tempfile.NamedTemporaryFile(dir=TMP) as core, open(GRUB + "/boot.img", "rb") as f:
            subprocess.run(["grub-mkimage", "-d", GRUB, "-O", "i386-pc", "-p", "(hd0,msdos1)/boot/grub", "-o", core.name,
                            *GRUB_MODULES], check=True)
            head = bytearray(f.read() + core.read())
        head += bytes(HEAD - len(head))
        # The table: active, type Linux, first sector and number of sectors; nobody asks for cylinders.
        head[0x1be:0x1fe] = struct.pack("<B3xB3xII48x", 0x80, 0x83, HEAD // 512, partition_mib << 11)
        head[0x1fe:0x200] = b"\x55\xaa"
        return gzip.compress(bytes(head), 9, mtime=0)
    return save("grub-head.gz", make)


def efi_disk(says):
    """A small disk that is an EFI system partition, packed: GRUB, which says so on the serial line."""
    def make():
        grub = vm.FETCH + "/efi/usr/lib/grub/x86_64-efi"
        with tempfile.TemporaryDirectory(dir=TMP) as tmp:
            with open(tmp + "/cfg", "w", encoding="ascii") as f:
                f.write(f"serial --unit=0 --speed=115200\nterminal_output serial\necho {says}\nsleep 3600\n")
            subprocess.run(["grub-mkimage", "-d", grub, "-O", "x86_64-efi", "-p", "/", "-c", tmp + "/cfg", "-o", tmp + "/efi",
                            "serial", "terminal", "echo", "sleep", "fat", "part_msdos"], check=True)
            with open(tmp + "/disk", "wb") as f:
                f.truncate(40 << 20)
            subprocess.run(["mformat", "-i", tmp + "/disk", "-F", "::"], check=True)
            subprocess.run(["mmd", "-i", tmp + "/disk", "::EFI", "::EFI/BOOT"], check=True)
            subprocess.run(["mcopy", "-i", tmp + "/disk", tmp + "/efi", "::EFI/BOOT/BOOTX64.EFI"], check=True)
            with open(tmp + "/disk", "rb") as f:
                return gzip.compress(f.read(), 9, mtime=0)
    return save("efi-disk.gz", make)


def signed_disk(cfg):
    """A disk with an EFI system partition (the whole disk is it) as Debian installs it for Secure Boot: shim, which
    Microsoft signed, GRUB, which Debian signed, and GRUB's modules. GRUB is told to load us, and when it does not,
    Debian's kernel without us."""
    if reason := vm.cannot_run(cfg):
        return reason
    grub, shim, debian = f"{vm.FETCH}/efi/usr/lib/grub/", f"{vm.FETCH}/efi/usr/lib/shim/shimx64.efi.signed", "EFI/debian"
    os.makedirs(TMP, exist_ok=True)
    disk, initramfs = TMP + "/secure-boot.img", vm.add_files(cfg)
    words = vm.kernel_args(dataclasses.replace(cfg, hv="bare"))
    menu = [f"multiboot2 /orlop.gz placeholder {vm.hypervisor_args(cfg)}", "linux /vmlinuz " + words, "initrd /initramfs", "boot"]
    with open(disk + ".cfg", "w", encoding="ascii") as f:
        f.write("\n".join(menu) + "\n")
    files = {"EFI/BOOT/BOOTX64.EFI": shim, "EFI/BOOT/grubx64.efi": grub + "x86_64-efi-signed/grubx64.efi.signed",
             f"{debian}/grub.cfg": disk + ".cfg", "orlop.gz": vm.TOP + "/build/orlop.gz", "vmlinuz": cfg.kernel,
             "initramfs": initramfs}
    with open(disk, "wb") as f:
        f.truncate(128 << 20)
    subprocess.run(["mformat", "-i", disk, "-F", "::"], check=True)
    subprocess.run(["mmd", "-i", disk, "::EFI", "::EFI/BOOT", f"::{debian}", f"::{debian}/x86_64-efi"], check=True)
    for name, path in files.items():
        subprocess.run(["mcopy", "-i", disk, path, f"::{name}"], check=True)
    modules = [p for p in glob.glob(grub + "x86_64-efi/*") if p.endswith((".mod", ".lst"))]
    subprocess.run(["mcopy", "-i", disk, *modules, f"::{debian}/x86_64-efi"], check=True)
    os.unlink(initramfs)
    return dataclasses.replace(cfg, disk_boot=disk)


def image_wanting_highest():
    """The hypervisor with another wish in its multiboot 2 header's tag 10: the highest place, not the lowest."""
    tag = [10, 1, 24, 0x200000, 0xffffffff, 0x200000, 1]
    with open(vm.hypervisor_image("orlop"), "rb") as f:
        data = f.read()
    lowest, highest = (struct.pack("<HH5I", *tag[:-1], wish) for wish in (1, 2))
    if data.count(lowest) != 1:
        raise RuntimeError("orlop.elf has no tag 10 as expected")
    os.makedirs(TMP, exist_ok=True)
    with open(f"{TMP}/orlop-highest.elf", "wb") as f:
        f.write(data.replace(lowest, highest))
    return f.name


def boot_iso(cfg, entry=0, image=None):
    """A GRUB CD that boots the configuration, from `make iso`'s recipe with this test's command lines."""
    if reason := vm.cannot_run(cfg):
        return reason
    iso = f"{TMP}/iso-{cfg.machine}{'-uefi' if cfg.uefi else ''}.iso"
    os.makedirs(TMP, exist_ok=True)
    initramfs = vm.add_files(cfg)
    command = ["make", "-s", "-C", vm.TOP, "iso", f"ISO={iso}", f"ISO_KERNEL={cfg.kernel}", f"ISO_INITRAMFS={initramfs}",
               f"ISO_XEN_ARGS={vm.hypervisor_args(cfg)}", f"ISO_DOM0_ARGS={vm.kernel_args(cfg)}",
               f"ISO_ENTRY={entry}", "ISO_TIMEOUT=0", f"ISO_GRUB={cfg.grub}",
               *([f"ISO_IMAGE={image}"] if image else []), f"ISO_FIRMWARE={'uefi' if cfg.uefi else 'bios'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if cfg.files:
        os.unlink(initramfs)
    if done.returncode:
        raise RuntimeError("make iso failed:\n" + done.stdout + done.stderr)
    return dataclasses.replace(cfg, cdrom=iso)
