# SPDX-License-Identifier: MIT
"""A tree for Debian's installer, made from Debian's packages: installer-amd64/current/images/netboot/xen as a mirror has it, some of
the installer's own packages and those of a small system, in an ext4 image that a machine serves by HTTP. Of the installer's packages
not all are to be had everywhere (its partitioner), so a preseeded script does their work (walk-guest-install)."""
import glob
import os
import re
import shutil
import subprocess
import zlib

import vm

PLACE = vm.TOP + "/build/tmp/walk-mirror"
RELEASE = "bookworm"
IMAGES = f"dists/{RELEASE}/main/installer-amd64/current/images"
NETBOOT = "debian-installer-12-netboot-amd64"
# Beside what is required and important: what the installer puts into a system of one disk without a desktop.
PACKAGES = ["linux-image-amd64", "initramfs-tools", "grub2-common", "zstd", "ifupdown", "isc-dhcp-client", "iproute2", "systemd-sysv", "dbus",
            "udev", "kmod", "usr-is-merged"]
# What the installer's own image lacks, and its script (walk-guest-install) unpacks over it: programs for disks, debootstrap.
TOOLS = ["fdisk", "libfdisk1", "libsmartcols1", "e2fsprogs", "libext2fs2", "libss2", "libcom-err2", "debootstrap"]
# Of the installer's packages: the kernel's modules for disk and file system, and a helper of debootstrap's.
UDEBS = re.compile(r"(scsi-core|scsi|ext4|crc)-modules-.*|bootstrap-base")


class Apt:
    """apt's programs on a state of their own, with Debian's release alone: an installer's modules are those of its kernel."""

    def __init__(self):
        self.place = vm.TOP + "/build/apt/mirror"
        for folder in ("lists/partial", "archives/partial", "parts", "debs"):
            os.makedirs(f"{self.place}/{folder}", exist_ok=True)
        with open(self.place + "/status", "w", encoding="ascii"):
            pass
        sources = subprocess.run(["python3", vm.TOP + "/scripts/apt-sources.py", RELEASE], capture_output=True, text=True, check=True).stdout
        line = next(s for s in sources.split("\n") if s.endswith(f" {RELEASE} main"))
        with open(self.place + "/sources.list", "w", encoding="utf-8") as f:
            f.write(f"{line}\n{line}/debian-installer\n")
        with open(self.place + "/apt.conf", "w", encoding="utf-8") as f:
            f.write(f'Dir::Etc::sourcelist "{self.place}/sources.list";\nDir::Etc::sourceparts "{self.place}/parts";\n'
                    f'Dir::State::lists "{self.place}/lists";\nDir::State::status "{self.place}/status";\n'
                    f'Dir::Cache::archives "{self.place}/archives";\nDir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n'
                    'APT::Sandbox::User "";\nAPT::Architecture "amd64";\nAPT::Architectures { "amd64"; };\nDebug::NoLocking "true";\n'
                    'Acquire::Languages "none";\nAcquire::Retries "3";\n')
        self.run("apt-get", "update", "-q")

    def run(self, *command, cwd=None):
        return subprocess.run(command, env=dict(os.environ, APT_CONFIG=self.place + "/apt.conf"), cwd=cwd, capture_output=True, text=True,
                              check=True).stdout

    def stanzas(self, component):
        """The packages of a component: {name: its paragraph}."""
        path = self.run("apt-get", "indextargets", "--format", "$(FILENAME)", "Created-By: Packages", "Component: " + component).split("\n")[0]
        found = self.run("/usr/lib/apt/apt-helper", "cat-file", path).strip().split("\n\n")
        return {field(s, "Package"): s for s in found}

    def fetch(self, stanzas, tree):
        """Downloads these packages to their places in a mirror's tree."""
        debs = self.place + "/debs"
        missing = [s for s in stanzas if not os.path.exists(f"{debs}/{os.path.basename(field(s, 'Filename'))}")]
        for i in range(0, len(missing), 60):
            work = debs + ".new"
            shutil.rmtree(work, ignore_errors=True)
            os.makedirs(work)
            self.run("apt-get", "download", "-q", *(f"{field(s, 'Package')}={field(s, 'Version')}" for s in missing[i:i + 60]), cwd=work)
            for name in os.listdir(work):  # apt writes an epoch's colon as %3a, the archive leaves the epoch out
                os.replace(f"{work}/{name}", f"{debs}/{re.sub(r'_[0-9]+%3a', '_', name)}")
            os.rmdir(work)
        for s in stanzas:
            to = f"{tree}/{field(s, 'Filename')}"
            os.makedirs(os.path.dirname(to), exist_ok=True)
            shutil.copy(f"{debs}/{os.path.basename(to)}", to)


def field(stanza, name):
    m = re.search(rf"^{name}: (.*)$", stanza, re.M)
    return m.group(1) if m else ""


def system_packages(apt, stanzas):
    base = [n for n, s in stanzas.items() if field(s, "Priority") == "required" and n != "usrmerge"]
    simulated = apt.run("apt-get", "install", "-s", "-q", "--no-install-recommends", "apt", *base, *PACKAGES)
    return [stanzas[n] for n in {*re.findall(r"^Inst (\S+) ", simulated, re.M), *TOOLS}]


def put_list(tree, component, stanzas):
    folder = f"{tree}/dists/{RELEASE}/{component}/binary-amd64"
    os.makedirs(folder, exist_ok=True)
    with open(folder + "/Packages", "w", encoding="utf-8") as f:
        f.write("\n\n".join(stanzas) + "\n")
    subprocess.run(["gzip", "-9nk", folder + "/Packages"], check=True)


def put_release(tree):
    """A release file without a signature: what is installed from it is told so."""
    folder, sums = f"{tree}/dists/{RELEASE}", []
    for component in ("main", "main/debian-installer"):
        for name in ("Packages", "Packages.gz"):
            place = f"{component}/binary-amd64/{name}"
            done = subprocess.run(["sha256sum", f"{folder}/{place}"], capture_output=True, text=True, check=True)
            sums.append(f" {done.stdout.split()[0]} {os.path.getsize(folder + '/' + place)} {place}")
    with open(folder + "/Release", "w", encoding="ascii") as f:
        f.write(f"Origin: Debian\nLabel: Debian\nSuite: oldstable\nVersion: 12\nCodename: {RELEASE}\n"
                "Date: Thu, 01 Jan 2026 00:00:00 UTC\nArchitectures: all amd64\nComponents: main\nSHA256:\n" + "\n".join(sums) + "\n")


def installer(apt, stanza, tree):
    """Kernel and first file system of the installer, where a mirror has them: the kernel's version."""
    apt.fetch([stanza], PLACE + ".netboot")
    deb = f"{PLACE}.netboot/{field(stanza, 'Filename')}"
    subprocess.run(["dpkg-deb", "-x", deb, PLACE + ".netboot"], check=True)
    have = f"{PLACE}.netboot/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64"
    os.makedirs(f"{tree}/{IMAGES}/netboot/xen")
    shutil.copy(have + "/linux", f"{tree}/{IMAGES}/netboot/xen/vmlinuz")
    shutil.copy(have + "/initrd.gz", f"{tree}/{IMAGES}/netboot/xen/initrd.gz")
    with open(f"{tree}/{IMAGES}/MANIFEST", "w", encoding="ascii") as f:
        f.write("netboot/xen/vmlinuz -- kernel for Debian's installer as a PV guest\n")
    status = subprocess.run(f"zcat {have}/initrd.gz | cpio -i --quiet --to-stdout var/lib/dpkg/status", shell=True, capture_output=True,
                            text=True, check=True).stdout
    shutil.rmtree(PLACE + ".netboot")
    return re.search(r"^Package: kernel-image-(.*)-di$", status, re.M).group(1)


PRESEED = """d-i preseed/early_command string wget -q -O /tmp/walk {url}/walk-guest-install && sh /tmp/walk {url}
"""


def put_script(tree, url, unpacked):
    """What the installer is told to do: its preseed file, the script, and what that asks for."""
    shutil.copy(vm.TOP + "/tests/emu/walk-guest-install", tree)
    for name, text in (("preseed.cfg", PRESEED.format(url=url)), ("packages", " ".join(PACKAGES)),
                       ("unpack", "\n".join(field(s, "Filename") for s in unpacked))):
        with open(f"{tree}/{name}", "w", encoding="ascii") as f:
            f.write(text + "\n")


def make(url):
    """The image, to be served at this address, once for each set of packages and script. Its path."""
    with open(vm.TOP + "/tests/emu/walk-guest-install", encoding="ascii") as f:
        text = "".join([f.read(), url, PRESEED, *PACKAGES, *TOOLS, UDEBS.pattern])
    image = f"{PLACE}-{zlib.crc32(text.encode()):08x}.ext4"
    if os.path.exists(image):
        return image
    apt = Apt()
    debs, udebs = apt.stanzas("main"), apt.stanzas("main/debian-installer")
    tree = PLACE + ".tree"
    shutil.rmtree(tree, ignore_errors=True)
    kernel = installer(apt, debs[NETBOOT], tree)
    modules = [s for n, s in udebs.items() if UDEBS.fullmatch(n) and field(s, "Kernel-Version") in ("", kernel)]
    for component, chosen in (("main", system_packages(apt, debs)), ("main/debian-installer", modules)):
        apt.fetch(chosen, tree)
        put_list(tree, component, chosen)
    put_release(tree)
    put_script(tree, url, [*(debs[n] for n in TOOLS), *modules])
    size = sum(os.path.getsize(f"{folder}/{f}") for folder, _, files in os.walk(tree) for f in files)
    for old in glob.glob(PLACE + "-*.ext4"):
        os.unlink(old)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-F", "-L", "mirror", "-O", "^has_journal", "-d", tree, image, f"{(size >> 20) * 11 // 10 + 24}M"], check=True,
                   env=dict(os.environ, PATH=os.environ["PATH"] + ":/sbin:/usr/sbin"))
    shutil.rmtree(tree)
    return image
