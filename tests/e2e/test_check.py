#!/usr/bin/python3
"""`postrider check`: what is found in a configuration, and its exit status, as a table of cases.

Nothing is started. 0 says that all is well, 1 that there are dangers, 78 that there are errors.
"""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

from certificate import make_certificate
from program import Program

GOOD, DANGERS, ERRORS = 0, 1, 78

# Lines of the cases begin in line 5.
BASE = """\
hostname mx.test
local_domain local.test
alias_file * aliases
include more
"""
ALIASES = "postmaster: ops@remote.test\nroot: ops@remote.test\n"
POLICY = "default rcpt reject\n"  # what every policy is to have


@dataclasses.dataclass(frozen=True)
class Case:
    title: str
    exit: int
    lines: str
    says: tuple[str, ...] = ()  # a regular expression for each message, in any order; there may be no other
    aliases: str = ""
    files: dict[str, str] = dataclasses.field(default_factory=dict)


def danger(title: str, lines: str, *says: str, **more: object) -> Case:
    return Case(title, DANGERS, lines, tuple("warning: \\S*" + text for text in says), **more)  # type: ignore[arg-type]


def error(title: str, lines: str, *says: str, **more: object) -> Case:
    return Case(title, ERRORS, lines, tuple("^/\\S*" + text for text in says), **more)  # type: ignore[arg-type]


CASES = [
    Case("no policy at all", GOOD, ""),
    Case("a policy", GOOD, POLICY + "net 192.0.2.0/24 relay\nrcpt closed@local.test reject\n"),
    Case("a policy of many kinds", GOOD, 'class c relay maxsize=1M\ndefault rcpt mx=backup reject "550 5.7.1 no"\n'
         "net 10.0.0.0/8 use c\nrcpt postmaster@ accept\nrcpt local.test accept\nrcpt *.local.test accept\n"
         "relay_domain b.test\nrcpt u@b.test accept\nmxbackup m.test\nrcpt m.test accept\n"),
    Case("backups that go past a smarthost", GOOD,
         "route * via smart.test\nmxbackup b.test subdomains\ndefault rcpt mx=backup\n",
         (r"notice: \S*more:1: default smarthost bypassed for b\.test, \.b\.test, what mx= admits at \S*more:3",)),
    Case("backups with a tunnel around a closed port", GOOD,
         "route * via smart.test compulsory\nmxbackup b.test\nroute b.test via [192.0.2.1]:2525\nmxbackup c.test\n"
         "route c.test via [10.0.0.1]\n"),

    # The policy, spec 2.2.
    danger("no default rcpt", "net 192.0.2.0/24 relay\n", r"more:1: the policy has no default rcpt line"),
    danger("a default that is not of rcpt", "default net conns=5\n", r"more:1: the policy has no default rcpt line"),
    error("default rcpt relay", "default rcpt relay\n", r"more:1:1: default rcpt relay is an open relay"),
    error("default rcpt accept", "default rcpt accept\n", r"more:1:1: default rcpt accept is an open relay"),
    error("default rcpt relay, by a class", "class c relay\ndefault rcpt use c\n",
          r"more:2:1: default rcpt relay is an open relay"),
    error("net 0.0.0.0/0 relay", POLICY + "net 0.0.0.0/0 relay\n", r"more:2:5: 0\.0\.0\.0/0 relay is an open relay"),
    error("net 0.0.0.0/0 trust", POLICY + "net 0.0.0.0/0 trust=all\n", r"more:2:5: 0\.0\.0\.0/0 trust= is an open relay"),
    error("net ::/0 relay", POLICY + "net ::/0 relay\n", r"more:2:5: ::/0 relay is an open relay"),
    error("net ::/0 trust, by a class", POLICY + "class c trust=rcpt\nnet ::/0 use c\n",
          r"more:3:5: ::/0 trust= is an open relay"),
    error("net ::/0 relay, from a file", POLICY + "class c relay\ninclude nets as net c\n",
          r"nets:2:1: ::/0 relay is an open relay", files={"nets": "192.0.2.0/24\n::/0\n"}),
    danger("half of all addresses", POLICY + "net 0.0.0.0/1 relay\n", r"more:2: 0\.0\.0\.0/1 may send mail anywhere"),
    danger("half of all IPv6 addresses", POLICY + "net 8000::/1 trust=rcpt\n", r"more:2: 8000::/1 may send mail anywhere"),
    error("every client of a top-level domain", POLICY + "rdns *.com relay\n",
          r"more:2:6: every client below \*\.com could send mail anywhere"),
    error("a name at every domain", POLICY + "rcpt sales@ relay\n",
          r"more:2:6: everybody could send to sales@ of every domain: an open relay"),
    danger("a top-level domain", POLICY + "rcpt .com relay\n", r"more:2: everybody may send mail to all of \.com"),
    danger("whoever makes us his exchanger", "default rcpt mx=any\n",
           r"more:1: whoever makes this host an exchanger of his domain may send mail there"),
    error("accept for a foreign domain", POLICY + "rcpt far.test accept\n",
          r"more:2:6: accept lets no mail in for far\.test"),
    error("accept for a foreign address", POLICY + "rcpt u@far.test accept\n",
          r"more:2:6: accept lets no mail in for far\.test"),
    error("accept for a foreign tree", POLICY + "rcpt *.far.test accept\n",
          r"more:2:6: accept lets no mail in for \*\.far\.test"),
    error("accept below our domain, where nothing is ours", POLICY + "rcpt .local.test accept\n",
          r"more:2:6: accept lets no mail in for \.local\.test"),
    error("accept for a foreign domain, by a class", POLICY + "class c accept\nrcpt far.test use c\n",
          r"more:3:6: accept lets no mail in for far\.test"),
    error("an unknown option", POLICY + "net 192.0.2.0/24 maxsiz=1M\n",
          r'more:2:18: net has no option "maxsiz"; did you mean "maxsize"'),
    error("an option of another kind", POLICY + "port 587 conns=3\n", r'more:2:10: port has no option "conns"'),
    error("an unknown item", POLICY + "net 192.0.2.0/24 rely\n", r'more:2:18: unknown item "rely"; did you mean "relay"'),
    error("a verb that there is not", POLICY + "net 192.0.2.0/24 next\n", r'more:2:18: unknown item "next"'),
    error("a class loop", POLICY + "class a use b\nclass b use c\nclass c use a\n",
          r"more:4:13: class a leads back to itself"),
    error("no such class", POLICY + "net 192.0.2.0/24 use customer\nclass customers relay\n",
          r'more:2:22: there is no class customer; did you mean "customers"'),
    error("a key twice", POLICY + "net 192.0.2.0/24 relay\nnet 192.0.2.0/24 reject\n",
          r"more:3:5: 192\.0\.2\.0/24 is there already, at \S*more:2"),
    error("a network twice, once as IPv6", POLICY + "net 192.0.2.0/24 relay\nnet ::ffff:192.0.2.0/120 reject\n",
          r"more:3:5: 192\.0\.2\.0/24 is there already, at \S*more:2"),
    error("an address twice, once with its length", POLICY + "net 192.0.2.1 relay\nnet 192.0.2.1/32 reject\n",
          r"more:3:5: 192\.0\.2\.1/32 is there already, at \S*more:2"),
    error("a sender twice, in two cases", POLICY + "sender Friend@X.test reject\nsender friend@x.TEST accept\n",
          r"more:3:8: friend@x\.test is there already, at \S*more:2"),
    error("a recipient twice, once from a file", POLICY + "class c relay dnsbl=use\nrcpt a.test relay\ninclude k as c\n",
          r"k:1:1: a\.test is there already, at \S*more:3", files={"k": "A.test\n"}),
    error("a greeting twice", POLICY + "helo Friend reject\nhelo friend accept\n",
          r"more:3:6: friend is there already, at \S*more:2"),
    error("a login twice, by both words", POLICY + "auth fred relay\nlogin fred reject\n",
          r"more:3:7: fred is there already, at \S*more:2"),
    error("a port twice", POLICY + "port 25 strict\nport 025 fqdn\n", r"more:3:6: 025 is there already, at \S*more:2"),
    error("a default twice", POLICY + POLICY, r"more:2:1: default rcpt is there already, at \S*more:1"),
    danger("a tree that others have taken", POLICY + "sender *.a.test reject\nsender a.test accept\nsender .a.test defer\n"
           "rcpt *.b.test relay\nrcpt b.test relay\nrcpt .b.test reject\nrdns *.c.test reject\nrdns c.test accept\n"
           "rdns .c.test accept\nrcpt *.d.test relay\nrcpt d.test relay\n",
           r"more:2: the lines at \S*more:3 and \S*more:4 leave nothing of \*\.a\.test",
           r"more:5: the lines at \S*more:6 and \S*more:7 leave nothing of \*\.b\.test",
           r"more:8: the lines at \S*more:9 and \S*more:10 leave nothing of \*\.c\.test"),

    # Backup MX, spec 5.9.
    danger("a backup whose mail the smarthost would bring back", "route * via smart.test compulsory\nmxbackup b.test\n",
           r"more:2: mail leaves by smart\.test:25 only \(\S*more:1\), which would send it back here: b\.test needs a "
           r"route of its own, such as route b\.test via \[ADDRESS\]:2525"),
    danger("a backup with a route by MX out of a closed network",
           "route * via smart.test compulsory\nmxbackup b.test\nroute b.test mx\n",
           r"more:2: mail leaves by smart\.test:25 only", r"more:3: mail leaves by smart\.test:25 only"),
    danger("a gateway behind the closed port",
           "route * via smart.test compulsory\nmxbackup b.test\nroute b.test via [192.0.2.1]\nmxbackup c.test\n"
           "route c.test via tunnel.test:25\n",
           r"more:2: mail leaves by smart\.test:25 only \(\S*more:1\), so that \[192\.0\.2\.1\]:25 \(\S*more:3\) cannot "
           r"be reached: it takes another port, such as :2525",
           r"more:4: mail leaves by smart\.test:25 only \(\S*more:1\), so that tunnel\.test:25 \(\S*more:5\)"),
    danger("what the DNS says in a closed network",
           "route * via smart.test compulsory\ndefault rcpt mx=backup\nrcpt a.test mx=any\n",
           r"more:2: mail leaves by smart\.test:25 only \(\S*more:1\), so that none of what mx= admits",
           r"more:3: mail leaves by smart\.test:25 only \(\S*more:1\), so that none of what mx= admits"),
    danger("a route by MX out of a closed network", "route * via smart.test compulsory\nroute b.test mx\n",
           r"more:2: mail leaves by smart\.test:25 only \(\S*more:1\), so that none of b\.test can go to its MX"),

    # Domains and routes.
    danger("a backup of our own domain", "mxbackup local.test\n", r"more:1: local\.test is a local domain"),
    danger("a backup of what is below our own domain", "mxbackup local.test subdomains\n",
           r"more:1: local\.test is a local domain, so the line holds for those below it only"),
    danger("a backup of a top-level domain", "mxbackup com subdomains\n", r"more:1: everybody may send mail to all of \*\.com"),
    danger("a backup that is disabled and open", "relay_domain a.test\nmxbackup a.test disabled\n",
           r"more:2: mail for a\.test is accepted all the same, by the relay_domain line at \S*more:1"),
    danger("a backup within another", "mxbackup a.test subdomains\nmxbackup b.a.test\n",
           r"more:2: b\.a\.test is covered by the mxbackup line at \S*more:1 already"),
    danger("a relayed top-level domain", "relay_domain *.com\n", r"more:1: everybody may send mail to all of \*\.com"),
    error("every domain relayed", "relay_domain *\n", r"more:1:14: accepting mail for every domain"),
    danger("a relayed domain of our own", "relay_domain local.test\n", r"more:1: local\.test is a local domain"),
    danger("a relayed domain within another", "relay_domain *.a.test b.a.test\n",
           r"more:1: b\.a\.test is covered by the relay_domain line"),
    danger("a route for our own domain", "route local.test mx\n", r"more:1: local\.test is a local domain"),
    danger("a route that others have taken", "route *.a.test mx\nroute a.test discard\nroute .a.test none\n",
           r"more:1: the routes at \S*more:2 and \S*more:3 leave nothing of \*\.a\.test"),
    error("two routes for one domain", "route a.test mx\nroute a.test none\n",
          r"more:2:7: the route of a\.test is there already, at \S*more:1"),

    # Addresses.
    danger("nobody reads postmaster and root", "", r"postrider\.conf:2: nobody reads postmaster@local\.test",
           r"postrider\.conf:2: nobody reads root", aliases="ops: a@remote.test\n"),
    danger("an alias loop", "", r"aliases:3: alias a: 5\.4\.6 alias loop", r"aliases:4: alias b: 5\.4\.6 alias loop",
           aliases=ALIASES + "a: b\nb: a\n"),
    danger("an alias to nobody", "", r"aliases:3: alias a: 5\.1\.1 no such user here",
           aliases=ALIASES + "a: nobody-at-all\n"),
    danger("an alias that is nobody in part", "", r"aliases:3: alias a: it leads to nobody-at-all@local\.test: 5\.1\.1",
           aliases=ALIASES + "a: x@remote.test, nobody-at-all\n"),
    danger("a list that is not there", "", r"aliases:3:4: .*No such file or directory",
           r"aliases:3: alias a: 4\.3\.0 a list cannot be read", aliases=ALIASES + "a: :include:/nowhere/list\n"),
    danger("a redirect of nothing", "redirect a@far.test b@remote.test\n",
           r"more:1: redirect a@far\.test: there is no such local domain"),
    danger("a redirect of what leaves", "redirect *@*.far.test b@remote.test scope=any\n",
           r"more:1: redirect \*@\*\.far\.test: scope=any also takes what is sent from here to other hosts"),
    danger("a redirect that hides an alias", "redirect a@local.test b@remote.test\n",
           r"more:1: redirect a@local\.test: the alias a at \S*aliases:3 is never asked",
           aliases=ALIASES + "a: x@remote.test\n"),

    # Files that other daemons read.
    danger("a key that all may read", "tls_certificate open.pem open.key\n", r"more:1:26: .*open\.key"),
    error("a certificate that is not there", "tls_certificate none.pem none.key\n", r"more:1:17: .*none\.pem", r"more:1:26: .*none\.key"),
    danger("a service that PAM does not know", "auth pam service=no-such-service\n",
           r"more:1:1: there is no /etc/pam\.d/no-such-service"),
    error("a password file with a bad line", "auth passwd_file passwords\n", r"passwords:1:\d+: ",
          files={"passwords": "no colon\n"}),
    error("errors of every kind at once",
          "max_hops many\nnet 192.0.2.0/24 rely\nclass c relay maxsiz=1M\nnet 198.51.100.0/24 use c\nroute a.test to b\n"
          "relay_domain a..b\nnonsense\nlocal_domain local.test\n",
          r'more:1:10: ', r'more:2:18: unknown item "rely"', r'more:3:15: class has no option "maxsiz"',
          r"more:5:14: a route is mx, via", r"more:6:14: ", r'more:7:1: unknown directive "nonsense"',
          r"more:8:14: local\.test is a local domain already"),
    error("an error beside a danger of the policy", "net 0.0.0.0/1 relay\nnet 192.0.2.0/24 rely\n",
          r'more:2:18: unknown item "rely"', r"|^warning: \S*more:1: 0\.0\.0\.0/1 may send mail anywhere"),
]


def run(program: Program, case: Case, folder: Path) -> None:
    files = {"postrider.conf": BASE, "more": case.lines, "aliases": case.aliases or ALIASES, **case.files}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    if "open.pem" in case.lines:
        make_certificate(folder / "open.pem", folder / "open.key", "mx.test")
        (folder / "open.key").chmod(0o644)
    done = subprocess.run([str(program.binaries / "postrider"), "--config", str(folder / "postrider.conf"), "check"],
                          text=True, capture_output=True, timeout=120, stdin=subprocess.DEVNULL)
    messages = done.stderr.splitlines()
    missing = [text for text in case.says if not any(re.search(text, line) for line in messages)]
    surplus = [line for line in messages if not any(re.search(text, line) for text in case.says)]
    good = done.returncode == case.exit and not missing and not surplus and not done.stdout
    program.judge(case.title, good, "" if good else
                  f"exit {done.returncode}, expected {case.exit}; not said: {missing}; too much: {surplus} {done.stdout}")


def main() -> int:
    with Program(__doc__) as program:
        for number, case in enumerate(CASES):
            run(program, case, program.scratch(f"case-{number}"))
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
