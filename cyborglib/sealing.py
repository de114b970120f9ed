"""Sealing what is secret, ssh keys, and the one encrypted file that opens without this library.

The only importer of cryptography. It reads no file and no environment: where keys lie is `keys.py`.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Collection, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from .errors import Invalid, SealBroken
from .secret import Secret

if TYPE_CHECKING:
    from cryptography.fernet import Fernet, MultiFernet

__all__ = [
    "Sealer",
    "certified_key",
    "encrypt_for_openssl",
    "fingerprint",
    "generate_ssh_key",
    "parse_public_key",
    "public_line",
]

#: What `encrypt_for_openssl` and the `openssl enc` that opens it must agree on.
PBKDF2_ITERATIONS = 600_000
#: Bytes of a passphrase that `openssl` reads; a longer one would seal what it cannot open.
LONGEST_PASSPHRASE = 1023

_LONGEST_KEY_LINE = 4096
_CLIENT_KEYS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,3}")


class Sealer:
    """Encrypts texts (Fernet: AES-128-CBC and HMAC-SHA256), each bound to the place where it is kept.

    Of several keys the first seals and all unseal. Raises `Invalid` for what is not a Fernet key.
    """

    __slots__ = ("_fernet", "_fernets", "key_id")

    def __init__(self, keys: Sequence[str]) -> None:
        from cryptography.fernet import Fernet  # here: it takes 30 ms, and not everybody seals

        if isinstance(keys, str):
            keys = (keys,)
        if not keys:
            raise Invalid("no key was given; Sealer.generate_key() makes one")
        fernets = []
        for number, key in enumerate(keys, 1):
            try:
                fernets.append(Fernet(key.encode()))
            except (ValueError, AttributeError) as error:
                raise Invalid(
                    f"key {number} of {len(keys)} is not a Fernet key, which is 32 bytes in the letters of URL-safe "
                    "base64 (44 of them); Sealer.generate_key() makes one"
                ) from error
        ids = (hashlib.sha256(base64.urlsafe_b64decode(key)).hexdigest()[:12] for key in keys)
        self._take(list(zip(ids, fernets, strict=True)))

    def _take(self, fernets: list[tuple[str, Fernet]]) -> None:
        from cryptography.fernet import MultiFernet

        self._fernets = fernets
        self._fernet: MultiFernet = MultiFernet([fernet for _id, fernet in fernets])
        #: Tells keys apart without giving anything away: the beginning of the first one's SHA-256.
        self.key_id: str = fernets[0][0]

    def led_by(self, key_id: str) -> Sealer:
        """The same keys, and the one of this id seals; as it is if that is none of them."""
        first = [pair for pair in self._fernets if pair[0] == key_id][:1]
        return self._made([*first, *(pair for pair in self._fernets if pair not in first)])

    def beside(self, other: Sealer) -> Sealer:
        """One that seals as this one does, and unseals what either of both can."""
        return self._made([*self._fernets, *other._fernets])

    @staticmethod
    def _made(fernets: list[tuple[str, Fernet]]) -> Sealer:
        made = object.__new__(Sealer)
        made._take(fernets)
        return made

    @staticmethod
    def generate_key() -> str:
        """A new random key."""
        from cryptography.fernet import Fernet

        return Fernet.generate_key().decode()

    def seal(self, place: str, text: str) -> str:
        """Encrypt a text for one place ("clients/become_password/7"); it opens nowhere else."""
        if "\n" in place:
            raise ValueError(f"a place is one line, not {place!r}")
        return self._fernet.encrypt(f"{place}\n{text}".encode("utf-8", "surrogatepass")).decode()

    def unseal(self, place: str, sealed: str) -> str:
        """The text sealed for this place. Raises `SealBroken` if it was damaged, or moved here from elsewhere."""
        from cryptography.fernet import InvalidToken

        try:
            opened = self._fernet.decrypt(sealed.encode()).decode("utf-8", "surrogatepass")
        except (InvalidToken, UnicodeError) as error:
            raise SealBroken(
                f"what is sealed in {place} does not open: it was damaged, or sealed with another key. "
                "Set the field anew, or put the database back from a copy"
            ) from error
        origin, _newline, text = opened.partition("\n")
        if origin != place:
            raise SealBroken(
                f"what is sealed in {place} was moved there from {origin}, past this library. "
                "Find out who writes to the database, and set the field anew"
            )
        return text


def generate_ssh_key(comment: str) -> tuple[Secret, str]:
    """A new ed25519 key pair: the private key (OpenSSH format) and the public line with the comment."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not comment.isprintable():
        raise Invalid(f"the comment {comment!r} of an ssh key must be one printable line")
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return Secret(private.decode()), f"{public.decode()} {comment}".rstrip()


def public_line(private: Secret) -> str:
    """The public key of a private one in OpenSSH's format without a passphrase, as "type base64". Raises `Invalid`."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_ssh_private_key(private.reveal().encode(), password=None)
    except (ValueError, UnsupportedAlgorithm) as error:
        # Not `from error`: it might show some of what it could not read.
        raise Invalid(f"a private ssh key cannot be read: {type(error).__name__}") from None
    encoding, form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return key.public_key().public_bytes(encoding, form).decode()


def parse_public_key(text: str, *, rsa: bool = False) -> str:
    """The public key in a line that a host gave, as "type base64" and nothing else; a comment is dropped.

    Raises `Invalid` for a second line, options before the type, other types (`rsa=True` takes ssh-rsa too, as
    some hosts have no other key), and whatever is not really such a key: the line goes into files that decide
    who may log in.
    """
    if not isinstance(text, str) or len(text) > _LONGEST_KEY_LINE:
        raise Invalid(f"the public key is longer than {_LONGEST_KEY_LINE} characters, which none of the known types is")
    line = text.removesuffix("\n").removesuffix("\r")
    if not line.isprintable():
        raise Invalid("the public key must be one line of printable characters; more was given")
    types = (*_CLIENT_KEYS, "ssh-rsa") if rsa else _CLIENT_KEYS
    kind, _blank, rest = line.partition(" ")
    body = rest.partition(" ")[0]
    if kind not in types:
        raise Invalid(f"the public key begins with {kind[:50]!r}; it must begin with one of {', '.join(types)}")
    if not _BASE64.fullmatch(body):
        raise Invalid(f"the public key of type {kind} is not followed by base64 alone")
    _check_key(kind, body)
    return f"{kind} {body}"


def _check_key(kind: str, body: str) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    try:
        base64.b64decode(body, validate=True)
        load_ssh_public_key(f"{kind} {body}".encode())
    except (ValueError, UnsupportedAlgorithm) as error:  # binascii.Error is a ValueError
        raise Invalid(f"the public key of type {kind} cannot be read: {error}") from error


def certified_key(
    line: str, *, names: Collection[str], authorities: Collection[str], revoked: Collection[str], at: datetime
) -> str:
    """The key that a host certificate ("type base64") is for, as "type base64". Raises `Invalid`, if not all is right:

    one of the authorities signed it, for one of the names, it is valid at that moment, and neither it nor its
    authority is revoked. One that names nobody, which ssh takes for every host, is not taken.
    """
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        found = serialization.load_ssh_public_identity(line.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Invalid(f"the certificate it shows cannot be read: {error}") from error
    if not isinstance(found, serialization.SSHCertificate) or found.type is not serialization.SSHCertificateType.HOST:
        raise Invalid("it shows no host certificate")
    form = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    key, authority = (one.public_bytes(*form).decode() for one in (found.public_key(), found.signature_key()))
    if authority not in authorities:
        raise Invalid(f"its certificate is signed by another authority ({fingerprint(authority)})")
    try:
        found.verify_cert_signature()
    except (InvalidSignature, UnsupportedAlgorithm) as error:
        raise Invalid("the signature of its certificate is not its authority's") from error
    if _signed_with_sha1(line, found.signature_key()):
        raise Invalid("its certificate is signed with SHA-1: sign it anew (ssh-keygen -t rsa-sha2-512 -s …)")
    if key in revoked or authority in revoked:
        raise Invalid("its certificate, or the authority that signed it, is marked as revoked in known_hosts")
    if not found.valid_after <= at.timestamp() < found.valid_before:
        raise Invalid("its certificate is not valid at this time: it has run out, or begins later")
    if found.critical_options:
        raise Invalid("its certificate has conditions that are not known here")
    patterns = [principal.decode("utf-8", "replace").lower() for principal in found.valid_principals]
    # To ssh * and ? are patterns, and brackets are not.
    plain = [pattern.replace("[", "[[]") for pattern in patterns]
    if not any(fnmatchcase(name.lower(), pattern) for name in names for pattern in plain):
        raise Invalid(f"its certificate is for {', '.join(patterns) or 'nobody'}, not for {' or '.join(names)}")
    return key


def _signed_with_sha1(line: str, authority: object) -> bool:
    """True for a certificate whose signature is of the type "ssh-rsa"; OpenSSH refuses such ones too."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    if not isinstance(authority, RSAPublicKey):
        return False
    # At the end stands the signature: its type, and a number as long as the authority's key.
    length = 4 + (authority.key_size + 7) // 8
    return base64.b64decode(line.split()[1])[:-length].endswith(b"\x00\x00\x00\x07ssh-rsa")


def fingerprint(line: str) -> str:
    """The fingerprint of a public key line as `ssh-keygen -l` shows it: "SHA256:…". Raises `Invalid`."""
    parts = line.split()
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except (IndexError, ValueError) as error:
        raise Invalid(f"{line[:100]!r} is not a public key line of type and base64") from error
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def encrypt_for_openssl(data: bytes, passphrase: Secret) -> bytes:
    """Encrypt a file's contents so that plain openssl opens it, with the passphrase on stdin:

    `openssl enc -d -aes-256-cbc -pbkdf2 -iter 600000 -in FILE -pass stdin` (its format: "Salted__", 8 bytes of
    salt, AES-256-CBC with PKCS#7; key and IV are 48 bytes of PBKDF2-HMAC-SHA256). It keeps the contents secret;
    it does not show whether they were changed.
    """
    from cryptography.hazmat.primitives import padding
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    text = passphrase.reveal()
    try:
        typed = text.encode()
    except UnicodeEncodeError:  # half a character; the error itself would carry the passphrase
        typed = b""
    if not typed or "\n" in text or "\x00" in text or len(typed) > LONGEST_PASSPHRASE:
        raise Invalid(
            f"the passphrase must be one line of 1 to {LONGEST_PASSPHRASE} bytes: openssl reads no more of it"
        )
    salt = os.urandom(8)
    derived = hashlib.pbkdf2_hmac("sha256", typed, salt, PBKDF2_ITERATIONS, 48)
    padder = padding.PKCS7(128).padder()
    padded = padder.update(data) + padder.finalize()
    encryptor = Cipher(algorithms.AES256(derived[:32]), modes.CBC(derived[32:])).encryptor()
    return b"Salted__" + salt + encryptor.update(padded) + encryptor.finalize()
