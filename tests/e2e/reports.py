"""Delivery status notifications as others read them: Python's email package, which must find no defect, and
flufl.bounce, by which mailing lists know whose address fails."""

from __future__ import annotations

import dataclasses
import email
import email.errors
import email.message
import email.policy
import email.utils
import re

from flufl.bounce import all_failures  # type: ignore[import-untyped]

ACTIONS = {"failed": "5", "delayed": "4", "delivered": "2", "relayed": "2", "expanded": "2"}
ORIGINAL_TYPES = ("text/rfc822-headers", "message/rfc822", "message/global", "message/global-headers")
ONCE = ("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type")
DATES = ("Arrival-Date", "Last-Attempt-Date", "Will-Retry-Until")
PER_MESSAGE = {"Original-Envelope-Id", "Reporting-MTA", "X-Postrider-Queue-ID", "Arrival-Date"}
PER_RECIPIENT = {"Original-Recipient", "Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code",
                 "Last-Attempt-Date", "Will-Retry-Until"}


@dataclasses.dataclass
class Report:
    """One report. What is wrong with it is in `problems`."""

    raw: bytes
    message: email.message.EmailMessage
    of_message: dict[str, str]
    recipients: list[dict[str, str]]
    original: email.message.EmailMessage
    problems: list[str]

    @property
    def text(self) -> str:
        """What people read."""
        return str(next(self.message.iter_parts()).get_content()).replace("\r", "")

    @property
    def status_type(self) -> str:
        return list(self.message.iter_parts())[1].get_content_type()

    def told(self) -> list[tuple[str, str]]:
        """Action and address of each recipient."""
        return [(one["Action"], one["Final-Recipient"].split(";", 1)[1].strip()) for one in self.recipients]

    def failures(self) -> tuple[set[str], set[str]]:
        """What flufl.bounce takes for temporary and for permanent failures."""
        temporary, permanent = all_failures(email.message_from_bytes(self.raw))
        return {address.decode() for address in temporary}, {address.decode() for address in permanent}


def is_report(content: bytes) -> bool:
    return b"\nAction: " in content or b"report-type=delivery-status" in content


def parsed(raw: bytes) -> email.message.Message:
    """The email package takes UTF-8 in fields from a string only; that is for reports to addresses in UTF-8."""
    if b"\nContent-Type: message/global-delivery-status\n" in raw:
        return email.message_from_string(raw.decode(), policy=email.policy.SMTPUTF8)
    return email.message_from_bytes(raw, policy=email.policy.default)


def read_report(raw: bytes) -> Report:
    """`raw` may have the line ends of SMTP or of a mailbox."""
    raw = raw.replace(b"\r\n", b"\n")
    message = parsed(raw)
    assert isinstance(message, email.message.EmailMessage)
    problems = [f"{part.get_content_type()}: {defect!r}" for part in message.walk() for defect in part.defects]
    problems += [f"{name} is there {len(message.get_all(name, []))} times" for name in ONCE
                 if len(message.get_all(name, [])) != 1]
    problems += [f"{name}: {defect!r}" for name in ONCE for defect in getattr(message[name], "defects", ())
                 if not isinstance(defect, email.errors.NonASCIILocalPartDefect)]
    if (message.get_content_type(), message.get_param("report-type")) != ("multipart/report", "delivery-status"):
        problems.append("it is no multipart/report of delivery status")
    parts = [part for part in message.iter_parts() if isinstance(part, email.message.EmailMessage)]
    if len(parts) != 3:
        return Report(raw, message, {}, [], message, [*problems, f"it has {len(parts)} parts"])
    people, status, original = parts
    if people.get_content_type() != "text/plain" or not str(people.get_content()).strip():
        problems.append("the first part is nothing that people read")
    if original.get_content_type() not in ORIGINAL_TYPES:
        problems.append(f"the third part is {original.get_content_type()}")
    problems += shape_problems(raw, message)
    blocks = status_blocks(raw, status)
    problems += [problem for number, block in enumerate(blocks) for problem in block_problems(number, block)]
    if len(blocks) < 2:
        return Report(raw, message, {}, [], original, [*problems, "it tells of nobody"])
    return Report(raw, message, blocks[0], blocks[1:], original, problems)


def shape_problems(raw: bytes, message: email.message.EmailMessage) -> list[str]:
    problems = [f"a line of {len(line)} octets" for line in raw.split(b"\n") if len(line) > 998]
    if b"\0" in raw or b"\r" in raw:
        problems.append("NUL, or CR without LF")
    if not raw.isascii() and message["Content-Transfer-Encoding"] != "8bit":
        problems.append("octets beyond ASCII, and nothing says so")
    if message["Auto-Submitted"] != "auto-replied":
        problems.append(f"Auto-Submitted: {message['Auto-Submitted']}")
    if "<MAILER-DAEMON@mx2.test>" not in str(message["From"]):
        problems.append(f"From: {message['From']}")
    return problems


def status_blocks(raw: bytes, status: email.message.EmailMessage) -> list[dict[str, str]]:
    """The fields of the message and of each recipient. The email package takes apart only the older of the types."""
    if status.get_content_type() == "message/delivery-status":
        blocks = [block for block in status.get_payload() if isinstance(block, email.message.Message) and block.keys()]
    else:
        assert status.get_content_type() == "message/global-delivery-status", status.get_content_type()
        part = raw.split(b"\nContent-Type: message/global-delivery-status", 1)[1]
        body = part.split(b"\n\n", 1)[1].split(b"\n--", 1)[0].strip(b"\n")
        blocks = [email.message_from_string(block, policy=email.policy.SMTPUTF8) for block in body.decode().split("\n\n")]
    return [{name: re.sub(r"\s+", " ", str(value)) for name, value in block.items()} for block in blocks]


def block_problems(number: int, fields: dict[str, str]) -> list[str]:
    allowed, needed = (PER_RECIPIENT, {"Final-Recipient", "Action", "Status"}) if number else (PER_MESSAGE, {"Reporting-MTA"})
    problems = [f"field {name} in block {number}" for name in fields if name not in allowed]
    problems += [f"no field {name} in block {number}" for name in needed if name not in fields]
    for name in DATES:
        try:
            email.utils.parsedate_to_datetime(fields.get(name, "Fri, 21 Nov 2025 21:07:53 +0000"))
        except ValueError as error:
            problems.append(f"{name}: {error}")
    if number and not problems:
        if fields["Action"] not in ACTIONS or not re.fullmatch(ACTIONS[fields["Action"]] + r"\.\d{1,3}\.\d{1,3}", fields["Status"]):
            problems.append(f"Action {fields['Action']} with Status {fields['Status']}")
        if not re.fullmatch(r"(rfc822|utf-8); ?\S+", fields["Final-Recipient"]):
            problems.append(f"Final-Recipient: {fields['Final-Recipient']}")
        if ("Will-Retry-Until" in fields) != (fields["Action"] == "delayed"):
            problems.append("Will-Retry-Until is for what is delayed")
    return problems
