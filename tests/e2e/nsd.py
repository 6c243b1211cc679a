"""A real NSD with the zones of the acceptance scenarios, and any a test adds.

The suite asks it as if it were a resolver, through a front that says nothing of `slow.test`. A root zone answers NXDOMAIN for every other name, so that no
look-up leaves the machine; a zone without a file makes NSD answer SERVFAIL, as `servfail.test` must.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
from pathlib import Path

import peers
from dns_front import DnsFront
from process import end_group, wait_for
from stage import NAME_SERVER, SERVERS, US, Stage

HEAD = "@ 60 IN SOA ns.test. postmaster.test. 1 3600 600 86400 5\n@ 60 IN NS ns.test.\n"

# It stands for the resolver of a network, which does not limit what one client may ask; nsd by itself drops or
# cuts most of what is asked more often than 200 times a second.
CONFIG = """\
server:
    server-count: 1
    ip-address: {address}@{port}
    do-ip6: no
    username: "{user}"
    chroot: ""
    zonesdir: "{folder}"
    database: ""
    pidfile: ""
    xfrdfile: "{folder}/xfrd.state"
    zonelistfile: "{folder}/zone.list"
    xfrdir: "{folder}"
    hide-version: yes
    rrl-ratelimit: 0
remote-control:
    control-enable: no
"""


def standard_zones() -> dict[str, str]:
    """The zones of the scenarios' harness table."""
    def mx(*pairs: tuple[int, str]) -> str:
        return "".join(f"{name} 60 IN MX {preference} {host}\n" for preference, host in pairs for name in ("@", "*"))

    hosts = {"us": US, **{name.lower(): address for name, address in SERVERS.items()}}
    test = "".join(f"{name}.hosts 60 IN A {address}\n" for name, address in hosts.items())
    p, us, m3, m4 = ("p.hosts.test.", "us.hosts.test.", "m3.hosts.test.", "m4.hosts.test.")
    test += f"ns 60 IN A {NAME_SERVER}\nnomx 60 IN A {SERVERS['R']}\nnullmx 60 IN MX 0 .\n"
    test += "mx2 60 IN A " + US + "\nloopback.hosts 60 IN A 127.0.0.1\nzero.hosts 60 IN A 0.0.0.0\n"
    test += "nat.hosts 60 IN A 198.51.100.10\nlo 60 IN MX 10 loopback.hosts\n"
    test += "zero 60 IN MX 10 zero.hosts\nnat 60 IN MX 10 nat.hosts\n"
    test += f"bestus 60 IN MX 10 {us}\nremote 60 IN MX 10 r.hosts.test.\n"
    test += f"twobk 60 IN MX 10 {p}\ntwobk 60 IN MX 20 {us}\ntwobk 60 IN MX 20 {m3}\ntwobk 60 IN MX 30 {m4}\n"
    return {
        ".": "",
        "test": test,
        "primary.test": mx((10, p), (20, us)),
        "hostonly.test": mx((10, p), (20, us)),
        # Below it, `odd` answers with what is no answer of a list.
        "rbl.test": "".join(f'{client} 60 IN A 127.0.0.2\n{client} 60 IN TXT "listed: see rbl.test/9"\n'
                            f"{client}.odd 60 IN A 203.0.113.1\n" for client in ("9.113.0.203", "9.0.0.127")),
        # OUT, in network namespaces and on the loopback; its neighbour has a name that is not its own.
        "113.0.203.in-addr.arpa": "9 60 IN PTR out.example.\n8 60 IN PTR liar.example.\n",
        "0.0.127.in-addr.arpa": "9 60 IN PTR out.example.\n8 60 IN PTR liar.example.\n",
        "example": "out 60 IN A 203.0.113.9\nout 60 IN A 127.0.0.9\nliar 60 IN A 192.0.2.99\n",
    }


class Nsd:
    """Owns one running NSD and its zone files."""

    def __init__(self, folder: Path, stage: Stage, zones: dict[str, str] | None = None) -> None:
        self._folder = folder
        self._stage = stage
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._front: DnsFront | None = None
        self._behind = (stage.resolver()[0], stage.port_behind_resolver())
        address, port = self._behind
        config = CONFIG.format(address=address, port=port, folder=folder, user="")
        for name, records in {**standard_zones(), **(zones or {})}.items():
            file = folder / f"{name.strip('.') or 'root'}.zone"
            file.write_text(f"$ORIGIN {name if name == '.' else name + '.'}\n{HEAD}{records}", encoding="utf-8")
            config += f'zone:\n    name: "{name}"\n    zonefile: "{file}"\n'
        config += f'zone:\n    name: "servfail.test"\n    zonefile: "{folder}/there-is-none.zone"\n'
        (folder / "nsd.conf").write_text(config, encoding="utf-8")

    def start(self) -> None:
        binary = peers.program("nsd", "usr/sbin/nsd")
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [*self._stage.command("world"), str(binary), "-d", "-c", str(self._folder / "nsd.conf")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=peers.environment("nsd"))
        self._front = DnsFront(self._stage, self._behind)
        with self._stage.inside("world"):
            wait_for(f"NSD to answer (see {self._folder}/log)", self._answers)

    def _answers(self) -> bool:
        question = struct.pack(">6H", os.getpid() & 0xFFFF, 0, 1, 0, 0, 0) + b"\6remote\4test\0\0\x0f\0\1"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.2)
            try:
                probe.connect(self._stage.resolver())
                probe.send(question)
                answer = probe.recv(4096)
            except OSError:
                return False
        return len(answer) > 12 and struct.unpack(">H", answer[6:8])[0] == 1

    def stop(self) -> None:
        if self._front:
            self._front.close()
            self._front = None
        if self._process:
            end_group(self._process)
            self._process = None
