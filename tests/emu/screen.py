# SPDX-License-Identifier: MIT
"""Reads letters off a machine's screen: QEMU's picture of it, compared with the font that the hypervisor paints."""
import importlib.machinery
import importlib.util
import json
import os
import socket
import time

import vm

WIDTH, HEIGHT = 8, 16


def font():
    """{16 bytes: character}, from the build's own reader of the font."""
    loader = importlib.machinery.SourceFileLoader("font", vm.TOP + "/scripts/font")
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("font", loader))
    loader.exec_module(module)
    return {bytes(glyph): chr(32 + i) for i, glyph in enumerate(module.ascii_font())}


def qmp(path, command, **arguments):
    """One command to the machine's monitor at this socket; its answer."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        with s.makefile("rw", encoding="utf-8") as f:
            f.readline()
            for words in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                f.write(json.dumps(words) + "\n")
                f.flush()
                while "event" in (answer := json.loads(f.readline())):
                    pass
    if "error" in answer:
        raise RuntimeError(f"{command}: {answer['error']['desc']}")
    return answer


def read_ppm(path):
    """Width, height, and three bytes for each pixel."""
    with open(path, "rb") as f:
        data = f.read()
    magic, width, height = data.split(None, 3)[:3]
    if magic != b"P6":
        raise RuntimeError(f"{path} is no picture of QEMU's")
    width, height = int(width), int(height)
    return width, height, data[-width * height * 3:]


def text_of(path, letters=None, cell=WIDTH):
    """The lines of letters in a picture, in cells that wide; what is no letter is a question mark."""
    letters = letters or font()
    width, height, pixels = read_ppm(path)
    lines = []
    for top in range(0, height - HEIGHT + 1, HEIGHT):
        line = ""
        for left in range(0, width - WIDTH + 1, cell):
            glyph = bytes(sum(0x80 >> x for x in range(WIDTH) if pixels[((top + y) * width + left + x) * 3])
                          for y in range(HEIGHT))
            line += letters.get(glyph, "?")
        lines.append(line.rstrip())
    return lines


def drive_panic(cfg, log):
    """A panic is readable on the screen, and where it was."""
    place = log + ".qmp"
    picture = os.path.splitext(log)[0] + ".ppm"
    cfg.extra = (*cfg.extra, "-qmp", f"unix:{place},server=on,wait=off")
    machine = vm.Machine(cfg, log)
    try:
        reason = "" if machine.wait_for(r"Halted \(noreboot\)", 120) else "no panic on the serial line"
        if not reason:
            qmp(place, "screendump", filename=picture)
            time.sleep(0.5)
            text = text_of(picture)
            machine.lines += ["screen: " + line for line in text]
            for words in ("Panic on CPU 0:", "crash-test=panic", "Call trace", "Halted (noreboot)"):
                if not any(words in line for line in text):
                    reason = f"the screen does not show '{words}'"
                    break
    finally:
        machine.stop()
    return vm.Result(not reason, reason, machine.lines, machine.elapsed(), log)
