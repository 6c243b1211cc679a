"""What the suite asks the DNS, seen on the wire between the namespaces: a test that something is never asked
must not trust the program under test, nor a server that keeps no record of it.
"""

from __future__ import annotations

import socket
import struct
import threading

from stage import Stage

ETH_P_IP = 0x0800
UDP = 17
DNS_PORT = 53


class DnsCapture:
    """Owns a packet socket in the world's namespace; needs root."""

    def __init__(self, stage: Stage) -> None:
        with stage.inside("world"):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
        self._socket.settimeout(0.2)
        self._names: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def names(self) -> list[str]:
        """Each name that was asked about so far, in lower case."""
        return list(self._names)

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                packet = self._socket.recv(65535)
            except TimeoutError:
                continue
            name = question_of(packet)
            if name is not None:
                self._names.append(name)


def question_of(packet: bytes) -> str | None:
    """The name that an IPv4 packet with a DNS query asks about; None for any other packet."""
    if len(packet) < 20 or packet[9] != UDP:
        return None
    udp = packet[(packet[0] & 15) * 4:]
    if len(udp) < 20 or struct.unpack(">H", udp[2:4])[0] != DNS_PORT:
        return None
    labels, place = [], 20
    while place < len(udp) and udp[place]:
        length = udp[place]
        labels.append(udp[place + 1:place + 1 + length].decode("ascii", "replace").lower())
        place += 1 + length
    return ".".join(labels)
