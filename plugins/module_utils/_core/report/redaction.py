# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes out of a host's texts what others must not see. The same value becomes the same replacement, so what agreed still agrees."""

from __future__ import annotations

import ipaddress
import re
import typing as t

REDACTED = "REDACTED"
#: What is taken out, each with what stands for it; `collect` documents the same list.
KINDS = (
    "passwords, tokens and keys: the values of names such as password, secret, token, private_key; hashes of passwords; private keys",
    "hardware addresses of networks",
    "IPv4 and IPv6 addresses, but for those of the loopback interface",
    "the host's name",
    "serial numbers and world wide names",
    "names and passwords in URLs",
)

_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY[A-Z ]*)-----.*?(?:-----END \1-----|\Z)", re.DOTALL)
#: A whole one, so that a program which only looks for such lines stays what it is.
_WHOLE_PEM = re.compile(
    rb"(-----BEGIN (?:[A-Z][A-Z0-9]{1,11} ){0,2}PRIVATE KEY(?: BLOCK)?-----)"
    rb"(?:\r?\n|\\n|[A-Za-z0-9+/=]|[A-Z][A-Za-z-]{1,30}: [^\r\n\\]{0,200}(?:\r?\n|\\n)){40,20000}"
    rb"(-----END (?:[A-Z][A-Z0-9]{1,11} ){0,2}PRIVATE KEY(?: BLOCK)?-----)"
)
_NAMES_OF_SECRETS = (
    r"(?:passw(?:or)?d|passphrase|passwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|preshared[_-]?key"
    r"|psk|auth[_-]?(?:key|tok(?!_reqd))|encryption[_-]?key|luks[_-]?key|account[_-]?key|client[_-]?key[_-]?data|(?:wep|wpa)[_-]?key"
    r"|requirepass|masterauth|community|consumer[_-]?key|dhchap[_-]?(?:ctrl[_-]?)?key|authpass|(?:bind|root)pw|pri_exp"
    r"|hashedkey|_auth(?=[ =])"
    r"|(?<![\w-])[\w-]{1,60}[_-](?:pass|pwd)(?=[\"'\s=:]))[\w.-]{0,60}"
)
_QUOTED_OR_WORD = r"(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s\"';,&|)]+)"
#: `name=value`, `name: value`, `name:: value`, `<name>value`, `-name value`, `--name value`, `"name": "value"`.
#: The next line has a name of its own.
_SECRET = re.compile(
    rf"(?i)({_NAMES_OF_SECRETS}[\"']?[ \t]{{0,8}}(?:==|:=|::|\+=|[=:])[ \t]{{0,8}}|<{_NAMES_OF_SECRETS}>"
    rf"|(?<![\w-])--?[\w-]{{0,60}}{_NAMES_OF_SECRETS}[ \t]{{1,8}})(?![|>][+-]?\d?[ \t]{{0,8}}\n)({_QUOTED_OR_WORD})"
)
#: YAML's texts of several lines.
_BLOCK = re.compile(
    rf"(?i)({_NAMES_OF_SECRETS}[\"']?:[ \t]{{1,8}}[|>][+-]?\d?[ \t]{{0,8}}\n)((?:[ \t]{{1,80}}[^\n]{{0,4000}}(?:\n|\Z)){{1,200}})"
)
#: systemd's credentials may be units and rules, which act on drivers, so that only those named as secrets are taken out.
_CREDENTIAL = re.compile(
    r"(?i)\b(set_?credential(?:_?binary|_?encrypted)?=[\"']?[\w.-]{0,80}(?:passw|secret|token|key|psk)[\w.-]{0,80}:)([^\s\"']+)"
)
_VAULT = re.compile(r"(\$ANSIBLE_VAULT;)[\w.;-]{1,200}(?:\r?\n[ \t]{0,80}[0-9a-f]{8,})+")
#: A netrc and apt's auth.conf; settings of daemons that have a blank before the value.
_NETRC = re.compile(r"(?i)(\b(?:login|machine)\s{1,80}\S{1,200}\s{1,80}password\s{1,80})(\S+)")
_DIRECTIVE = re.compile(
    r"(?im)((?:^|[{;])[ \t]{0,80}(?:requirepass|masterauth|auth_pass|auth_key|r[ow]community6?|secret|wpa-psk|wireless-key\d?(?:[ \t]+s:)?"
    r"|byte[ \t]+HashedKey|bindpw|root(?:bind)?pw|def\w*passphrase|\w{1,60}(?:_passwd|password)"
    r"|pass(?=[ \t]*=[ \t]*\S{6})[ \t]*=|(?:IPSec|Xauth) (?:secret|password)|(?:incoming|outgoing)user[ \t]+\S+"
    r"|createUser[ \t]+\S+[ \t]+\S+|neighbor[ \t]{1,8}\S{1,80}[ \t]{1,8}password"
    # In pam.d the word begins a line that decides who may log in.
    r"|(?:enable[ \t]{1,8})?password(?![ \t]{1,80}(?:required|requisite|sufficient|optional|include|substack|\[))"
    r"(?:[ \t]+\S+(?=[ \t]+\S+[ \t]*$))?"
    r"|allow[ \t]+[^\s:]+:|MONITOR[ \t]+\S+[ \t]+\d+[ \t]+\S+)"
    r"[ \t]{0,80})(?<=[\s:=])(\"[^\"\n]*\"|[^\s;=:\"$()]+)"
)
#: Values that are no secrets: what nsswitch.conf says of users, without which no program knows one, and switches.
_USERS = re.compile(r"passwd(?:_compat)?\s*:\s*")
_SOURCES = frozenset(("files", "compat", "systemd", "db", "sss", "ldap", "winbind", "nis", "altfiles", "extrausers", "cache"))
_SWITCHES = frozenset(("yes", "no", "true", "false", "on", "off", "none", "null", "0", "1"))
#: Of MACsec, in a .netdev of systemd.
_MACSEC = re.compile(r"(?m)^([ \t]{0,80}Key[ \t]{0,80}=[ \t]{0,80})([0-9a-fA-F]{32,64})$")
#: `password "value"` and the like, in whatever place of a line; PAM's lines have no quotes there.
_QUOTED = re.compile(r"(?i)(\b(?:password|passphrase|passwd|(?:shared-)?secret)[ \t]{1,80})(\"[^\"\n]{1,200}\")")
#: `sshpass -p VALUE`, `curl -u NAME:VALUE` and the like, what HAProxy's users have, and the registries of a container's client.
_OPTION = re.compile(
    r"(\bsshpass\s{1,8}-p\s{0,8}|\b(?:mysql|mariadb)[\w-]*(?=\s)[^\n|;&]{0,400}?\s-p(?=[^\s-])|\bipmitool\s[^\n|;&]{0,400}?-P\s{1,8}"
    r"|\bldap\w+\s[^\n|;&]{0,400}?(?<=\s)-w\s{0,8}|\bredis-cli\s[^\n|;&]{0,400}?(?<=\s)-a\s{1,8}"
    r"|\bsmbclient\s[^\n|;&]{0,400}?-U\s{0,8}[^\s%]{1,200}%"
    r"|(?<=\s)pass:(?=\S)|\b(?:echo|printf)\s{1,8}(?:-n\s{1,8}|['\"]?%s['\"]?\s{1,8})?(?=[^\s|$]{1,200}\s{0,8}\|\s{0,8}(?:\S{0,40}/)?cryptsetup\s)"
    r"|\bcurl\s[^\n|;&]{0,400}?(?:-u|--user)[ =]{0,8}[^\s:]{1,200}:|\binsecure-password\s{1,80}"
    r"|\bstats\s{1,8}auth\s{1,8}[^\s:]{1,200}:|\"auth\"\s{0,8}:\s{0,8}(?=\"[A-Za-z0-9+/=]{8,}\"))([^\s|;&,}]+)"
)
_BEARER = re.compile(r"(?i)\b((?:bearer|authorization[\"']?[ \t]{0,8}[:=][ \t]{0,8}[\"']?basic)[ \t]+)([A-Za-z0-9._~+/=-]{8,})")
_URL = re.compile(r"(\b[a-z][a-z0-9+.-]{0,30}://)([^/\s:@\"']{1,200})(:[^/\s@\"']{0,200})?@")
_ISCSI = re.compile(r"(?i)\b((?:netroot|root)=iscsi:)([^@\s]{1,300})@")
_HASH = re.compile(
    r"\{(?:S?(?:SHA|MD5)\d{0,3}|CRYPT|PLAIN|CLEARTEXT|[A-Z0-9-]{2,12}-CRYPT|PBKDF2[\w-]{0,12})\}[^\s:\"']{4,}|\bDHHC-1:\d\d:[A-Za-z0-9+/=]+:?"
    r"|\$(?:1|2[abxy]?|5|6|7|y|gy|apr1|sha1|argon2id?)\$[A-Za-z0-9./$=,+-]{8,}|\bgrub\.pbkdf2\.[A-Za-z0-9.]+|\bAAAA[A-Za-z0-9+/=]{40,}"
)
_TOKENS = re.compile(
    r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,}|glpat-[\w-]{20,}|xox[abprs]-[\w-]{10,}"
    r"|AGE-SECRET-KEY-1[0-9A-Z]{20,}|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,}|sk_live_[A-Za-z0-9]{16,}|AIza[\w-]{30,}"
    r"|eyJ[\w-]{10,}\.[\w-]{5,}\.[\w-]*|hvs\.[\w-]{20,}|tskey-[\w-]{8,})"
)
_MAC = re.compile(r"(?<![0-9A-Fa-f:.-])(?:[0-9A-Fa-f]{2}([:-]))(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:-])")
_IPV4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w.-])")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:.])")
_SERIAL = re.compile(
    r"(?i)((?:\b|_)(?:serial(?:_short|_number)?|wwn(?:_with_extension)?|wwid|product_uuid|board_serial)\b[}\"']?\s*(?:==|!=|:=|\+=|[=:])\s*)"
    rf"({_QUOTED_OR_WORD})"
)
_SERIAL_PATH = re.compile(r"(/dev/disk/by-id/(?:[a-z]+-))([\w.:+-]+)")
_OWN_SERIAL = re.compile(r"SERIAL\d+")
_ZEROS = "00:00:00:00:00:00"


def without_private_keys(content: bytes) -> bytes:
    """Without whole private keys, and else as it is, as for a program's file."""
    if b"PRIVATE KEY" not in content:
        return content
    return _WHOLE_PEM.sub(rb"\1\n%s\n\2" % REDACTED.encode(), content)


class Redactor:
    """Redacts the texts of one host."""

    def __init__(self, names: t.Iterable[str] = ()) -> None:
        """``names`` are those of the host, with and without its domain."""
        wanted = sorted({name for name in names if len(name) > 2 and name not in ("localhost", "(none)")}, key=len, reverse=True)
        self._names = re.compile("|".join(rf"(?<![\w-]){re.escape(name)}(?![\w-])" for name in wanted)) if wanted else None
        self._known: dict[tuple[str, str], str] = {}

    def secrets(self, text: str) -> str:
        """Without keys, passwords, hashes and tokens; addresses, names and serial numbers stay, which may decide about drivers."""
        text = _PEM.sub(lambda found: f"-----BEGIN {found[1]}-----\n{REDACTED}\n-----END {found[1]}-----", text)
        text = _VAULT.sub(rf"\1{REDACTED}", text)
        text = _URL.sub(rf"\1{REDACTED}@", text)
        text = _ISCSI.sub(rf"\1{REDACTED}@", text)
        text = _BLOCK.sub(lambda found: f"{found[1]}{_indent(found[2])}{REDACTED}\n", text)
        text = _SECRET.sub(lambda found: found[0] if _stays(found) else found[1] + _in_same_quotes(found[2], REDACTED), text)
        text = _CREDENTIAL.sub(rf"\1{REDACTED}", text)
        for pattern in (_NETRC, _DIRECTIVE, _QUOTED, _MACSEC, _OPTION, _BEARER):
            text = pattern.sub(lambda found: found[1] + _in_same_quotes(found[2], REDACTED), text)
        return _TOKENS.sub(REDACTED, _HASH.sub(REDACTED, text))

    def text(self, text: str) -> str:
        text = self.secrets(text)
        text = _SERIAL.sub(lambda found: found[1] + _in_same_quotes(found[2], self._serial(found[2].strip("\"'"))), text)
        text = _SERIAL_PATH.sub(lambda found: found[1] + self._serial(found[2]), text)
        text = _MAC.sub(lambda found: self._mac(found[0], found[1]), text)
        text = _IPV6.sub(lambda found: self._address(found[0]), text)
        text = _IPV4.sub(lambda found: self._address(found[0]), text)
        return text if self._names is None else self._names.sub("redacted-host", text)

    def content(self, content: bytes) -> bytes:
        """A file's content; bytes that are not text stay as they are."""
        if b"\0" in content[:8192]:
            return content
        return self.text(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def value(self, value: t.Any) -> t.Any:
        """The same for all texts of a result."""
        if isinstance(value, t.Mapping):
            return {self.value(name): self.value(one) for name, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(one) for one in value]
        return self.text(value) if isinstance(value, str) else value

    def _number(self, kind: str, value: str) -> int:
        key = (kind, value)
        if key not in self._known:
            self._known[key] = str(sum(1 for other, _value in self._known if other == kind) + 1)
        return int(self._known[key])

    def _serial(self, value: str) -> str:
        # A pattern matches more than one value, and names none.
        return (
            value
            if not value or set(value) <= set("?*[]{}$%") or _OWN_SERIAL.fullmatch(value)
            else f"SERIAL{self._number('serial', value)}"
        )

    def _mac(self, value: str, sign: str) -> str:
        plain = value.lower().replace("-", ":")
        if plain in (_ZEROS, "ff:ff:ff:ff:ff:ff") or plain.startswith("02:00:00:00"):
            return value
        number = self._number("mac", plain)
        return sign.join(("02", "00", "00", "00", f"{number >> 8 & 255:02x}", f"{number & 255:02x}"))

    def _address(self, value: str) -> str:
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            return value
        if address.is_loopback or address.is_unspecified or str(address) == "255.255.255.255" or value.startswith(("198.18.", "2001:db8:")):
            return value
        if value.startswith("255."):
            # A network mask.
            return value
        number = self._number(f"IPv{address.version}", str(address))
        return f"198.18.{number >> 8 & 255}.{number & 255}" if address.version == 4 else f"2001:db8::{number:x}"


def _stays(found: re.Match[str]) -> bool:
    value = found[2].strip("\"'").lower()
    begins_line = found.start() == 0 or found.string[found.start() - 1] == "\n"
    return value in _SWITCHES or (begins_line and value in _SOURCES and _USERS.fullmatch(found[1]) is not None)


def _indent(lines: str) -> str:
    return lines[: len(lines) - len(lines.lstrip(" \t"))]


def _in_same_quotes(value: str, instead: str) -> str:
    return f"{value[0]}{instead}{value[0]}" if value[:1] in ("'", '"') else instead
