# SPDX-License-Identifier: MIT
"""Guests' screens as a VNC viewer in Domain 0 saw them (dom0/progs/vncsee.c): tasks print each picture in base64."""
import base64
import gzip
import os
import re

import screen
import vm

SMILE = bytes.fromhex("00007e81a58181bd9981817e00000000")  # code 1 of every PC's font, and code 0 is empty


def pc_font():
    """{16 bytes: character}, from the VGA BIOS that shows them."""
    with open(vm.FETCH + "/hvm/usr/share/seabios/vgabios-cirrus.bin", "rb") as f:
        rom = f.read()
    base = rom.index(bytes(16) + SMILE)
    return {rom[base + 16 * code:base + 16 * code + 16]: chr(code) for code in range(32, 127)}


def pictures(result):
    """{name: path} of the pictures in a machine's log, written beside it."""
    found, name, text = {}, None, []
    for line in result.lines:
        if m := re.search(r"picture: (\S+): (begin|end)$", line):
            if m[2] == "end" and m[1] == name:
                found[name] = f"{os.path.splitext(result.log)[0]}-{name}.ppm"
                with open(found[name], "wb") as f:
                    f.write(gzip.decompress(base64.b64decode("".join(text))))
            name, text = m[1] if m[2] == "begin" else None, []
        elif name and re.fullmatch(r"[A-Za-z0-9+/=]+", line):
            text.append(line)
    return found


def colours(path):
    """{three bytes: how many pixels}."""
    width, height, pixels = screen.read_ppm(path)
    count = {}
    for i in range(0, width * height * 3, 3):
        count[pixels[i:i + 3]] = count.get(pixels[i:i + 3], 0) + 1
    return (width, height), count


def check_screen(result):
    """Task guest-hvm: letters, a blue picture, a red square in it (tests/emu/screensector.S)."""
    blue, red = b"\0\0\xa8", b"\xa8\0\0"
    found = pictures(result)
    if sorted(found) != ["letters", "picture", "square"]:
        return f"pictures of the guest's screen: {sorted(found)}"
    text = screen.text_of(found["letters"], pc_font(), 9)
    if not any("Orlop shows an HVM guest's screen." in line for line in text):
        return "the screen's letters are " + " / ".join(line for line in text if line)[:200]
    if colours(found["picture"]) != ((640, 480), {blue: 640 * 480}):
        return f"the screen's picture is {colours(found['picture'])}"
    if colours(found["square"]) != ((640, 480), {blue: 640 * 480 - 10000, red: 10000}):
        return f"the screen's square is {colours(found['square'])}"
    return None


def check_vfb(result):
    """Task guest-vfb: the kernel's log on a PV guest's framebuffer, and what its program wrote there."""
    found = pictures(result)
    if "vfb" not in found:
        return "no picture of the guest's screen"
    text = screen.text_of(found["vfb"], pc_font())
    result.lines.extend("screen: " + line for line in text if line)
    for words in ("Hello: a guest prints here.", "Run /init as init process"):  # Linux's font has a few letters of its own
        if not any(words in line for line in text):
            return f"the screen does not show '{words}': " + " / ".join(line for line in text if line)[:300]
    return None
