#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes small well-formed inputs for the fuzzers, one folder per fuzzer under the given directory."""

import gzip
import lzma
import os
import struct
import subprocess
import sys


def note(kind, desc, name=b"Xen\0"):
    pad = lambda b: b + b"\0" * (-len(b) % 4)
    return struct.pack("<III", len(name), len(desc), kind) + pad(name) + pad(desc)


def elf():
    notes = b"".join([
        note(3, struct.pack("<Q", 0xFFFFFFFF80000000)),
        note(1, struct.pack("<Q", 0xFFFFFFFF80100010)),
        note(15, struct.pack("<Q", 0x8000000000)),
        note(16, struct.pack("<I", 1)),
        note(5, b"xen-3.0\0"),
        note(8, b"generic\0"),
        note(10, b"!writable_page_tables|dom0"),
        note(13, struct.pack("<QQ", 1, 1)),
    ])
    header = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + struct.pack(
        "<HHIQQQIHHHHHH", 2, 62, 1, 0x100000, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    off = 64 + 2 * 56
    load = struct.pack("<IIQQQQQQ", 1, 5, off, 0xFFFFFFFF80100000, 0x100000, len(notes), 0x4000, 4096)
    notes_ph = struct.pack("<IIQQQQQQ", 4, 4, off, 0, 0, len(notes), len(notes), 4)
    return header + load + notes_ph + notes


def bzimage(payload):
    f = bytearray(0x600)
    f[0x1F1] = 2
    f[0x1FE:0x200] = b"\x55\xaa"
    f[0x202:0x208] = b"HdrS\x0f\x02"
    f[0x211] = 1
    f[0x248:0x250] = struct.pack("<II", 0, len(payload))
    return bytes(f) + payload


def packed(command, data):
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def acpi_table(sig, body, rev=1):
    return sig + struct.pack("<IBB", 36 + len(body), rev, 0) + b"\0" * 26 + body


def acpi():
    """Root pointer at 0, XSDT at 0x40, the tables behind it, each at a multiple of 16."""
    base = 0xE0000
    madt = acpi_table(b"APIC", struct.pack("<II", 0xFEE00000, 1) +
                      bytes([0, 8, 0, 0, 1, 0, 0, 0, 1, 12, 0, 0, 0, 0, 0xC0, 0xFE, 0, 0, 0, 0]) +
                      bytes([2, 10, 0, 9, 9, 0, 0, 0, 13, 0, 4, 6, 255, 0, 0, 1]) +
                      bytes([9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0]))
    fadt = acpi_table(b"FACP", bytes(range(208)))
    hpet = acpi_table(b"HPET", bytes(4) + bytes([0, 64, 0, 0]) + struct.pack("<QB", 0xFED00000, 0) + bytes(3))
    mcfg = acpi_table(b"MCFG", bytes(8) + struct.pack("<QHBBI", 0xB0000000, 0, 0, 255, 0))
    dmar = acpi_table(b"DMAR", bytes(12) + struct.pack("<HHBBHQ", 0, 16, 1, 0, 0, 0xFED90000))
    at, places, blob = 0xC0, [], b""
    for t in (madt, fadt, hpet, mcfg, dmar):
        blob += b"\0" * (at - 0xC0 - len(blob)) + t
        places.append(at)
        at = (at + len(t) + 15) & ~15
    xsdt = acpi_table(b"XSDT", b"".join(struct.pack("<Q", base + p) for p in places))
    rsdp = b"RSD PTR " + b"\0" * 7 + b"\2" + struct.pack("<IIQI", 0, 36, base + 0x40, 0)
    memory = rsdp.ljust(0x40, b"\0") + xsdt.ljust(0xC0 - 0x40, b"\0") + blob
    return bytes([0, 4] + [p // 16 for p in places] + [255]) + memory


def config():
    """Guest configurations: the first byte says how tests/cli/fuzz_config.c takes the rest."""
    whole = (b"name='a'; memory=0x200\nkernel=\"/k\" # c\nvcpus=2\nmaxvcpus=4\ncpus=['1','0-3,^1']\non_crash='restart'\n"
             b"disk=['/a,raw,xvda,w',\n'format=qcow2,vdev=hdc,access=ro,target=/b,c']\n"
             b"vif=['mac=00:16:3e:00:00:01,bridge=b,rate=1MB/s@20ms','']\nextra='x'\n")
    return [b"\1" + whole, b"\1type='hvm'\npci=[['a',1],[]]\n", b"\0vif=['ip=10.0.0.1 fd00::1/64,mtu=1400,devid=3']",
            b"\0vcpus=3", b"\2phy:/dev/a,xvda1:cdrom,r", b"\2mac=00:16:3e:00:00:01,trusted,rate=10Mb/s", b"\2all,^node:1,3-5",
            b'\3{"name":"a","kernel":"/k","memory":5,"disk":[{"target":"/a","vdev":"xvda","cdrom":true}],'
            b'"vif":[{"devid":1,"mtu":1400,"trusted":false}],"cpus":["1"],"localtime":true}']


def xs_wire(*asks):
    """Requests (domain, type, transaction, payload) as fuzz_xs_wire takes them."""
    out = b""
    for n, (dom, kind, txn, payload) in enumerate(asks):
        msg = struct.pack("<4I", kind, n, txn, len(payload)) + payload
        out += bytes([dom, len(msg)]) + msg
    return out + b"\0"


def xs_talks():
    """Transactions and watches; a domain that Domain 0 lets go, connects again and makes another's device model."""
    return [xs_wire((1, 6, 0, b"\0"), (1, 11, 1, b"a/b\0v"), (1, 2, 1, b"a/b\0"), (1, 13, 1, b"a\0"), (1, 12, 1, b"a/c\0"),
                    (1, 1, 1, b"a\0"), (1, 7, 1, b"T\0"), (1, 4, 0, b"a\0t\0"), (0, 11, 0, b"/local/domain/1/a/x\0v")),
            xs_wire((0, 9, 0, b"1\0"), (0, 8, 0, b"1\0001\0001\0"), (1, 2, 0, b"a\0"), (0, 14, 0, b"/tool\0r0\0b1\0"),
                    (0, 19, 0, b"1\0000\0"), (1, 11, 0, b"/tool/x\0v"), (0, 9, 0, b"1\0"), (1, 2, 0, b"a\0"))]


def main(out):
    text = b"the kernel " * 500
    cmdlines = [b"dom0_mem=512M,max:1G,min:-256M com1=115200,8n1,0x3f8,4 no-smep console=com1,vga",
                b"dom0_max_vcpus=1-4 guest_loglvl='all debug' dom0_mem=50%+100M x=\"a b\" foo=off"]
    seeds = {
        "fuzz_elf": [elf()],
        "fuzz_bzimage": [elf(), bzimage(gzip.compress(text)), bzimage(lzma.compress(text) + b"\1\2\0\0")],
        "fuzz_cmdline": cmdlines,
        "fuzz_format": [bytes(range(14)), bytes(range(1, 15))],
        "fuzz_pvlayout": [struct.pack("<10QB", 0xFFFFFFFF80000000, 0, 0xFFFFFFFF81000010, 0x8000000000,
                                      0xFFFFFFFF81001000, 0x1000000, 0x2000000, 0x20000, 0, 5000, flags)
                          for flags in range(16)],
        "fuzz_acpi": [acpi()],
        "fuzz_config": config(),
        "fuzz_xs_wire": xs_talks(),
        "fuzz_builder": [elf(), bzimage(gzip.compress(elf())), bzimage(lzma.compress(elf()) + struct.pack("<I", len(elf())))],
        "fuzz_unpack": [gzip.compress(text), lzma.compress(text, check=lzma.CHECK_CRC32),
                        lzma.compress(text, check=lzma.CHECK_CRC64), packed(["zstd", "-q"], text),
                        packed(["lz4", "-q", "-l"], text)],
    }
    for name, inputs in seeds.items():
        folder = os.path.join(out, name)
        os.makedirs(folder, exist_ok=True)
        for i, data in enumerate(inputs):
            with open(os.path.join(folder, f"seed{i}"), "wb") as f:
                f.write(data)


if __name__ == "__main__":
    main(sys.argv[1])
