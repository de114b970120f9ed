# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives an entry its owner, mode, attributes, times and flags, and notes what did not stay."""

import os
import stat

from .carry_attributes import ACL, acl_mapped, add_flags, attributes
from .frame import to_bytes, to_text

#: How many kinds of what did not stay are told one by one.
KINDS_TOLD = 20


class Settling:
    """``lost``: {what: [how many entries, the first one's path, why]}."""

    def __init__(self):
        self.lost, self.users, self.groups = {}, {}, {}

    def learn(self, line):
        """Names that stand for ids from here on. An account that this host does not have keeps its number."""
        import grp
        import pwd

        for number, name in (line.get("users") or {}).items():
            try:
                self.users[int(number)] = pwd.getpwnam(name).pw_uid
            except (KeyError, ValueError):
                continue
        for number, name in (line.get("groups") or {}).items():
            try:
                self.groups[int(number)] = grp.getgrnam(name).gr_gid
            except (KeyError, ValueError):
                continue

    def user(self, number):
        return self.users.get(number, number)

    def group(self, number):
        return self.groups.get(number, number)

    def note(self, what, why, path):
        """``why``: an OSError, or a word."""
        reason = os.strerror(why.errno) if isinstance(why, OSError) else why
        if what not in self.lost and len(self.lost) >= KINDS_TOLD:
            what = "other attributes"
        known = self.lost.setdefault(what, [0, to_text(path), reason])
        known[0] += 1

    def settle(self, where, line, path, opened=True):
        """``where``: an fd; or, of what is not ``opened``, its path, whose last part is no link to be followed."""
        uid, gid = self.user(line["uid"]), self.group(line["gid"])
        try:
            os.chown(where, uid, gid, follow_symlinks=opened)
        except OSError as error:
            self.note("the owner", error, path)
        if opened:
            try:
                os.fchmod(where, line["mode"])
            except OSError as error:
                self.note("the mode", error, path)
        # Behind the owner: a change of the owner takes capabilities away.
        self.attributes(where, line, path, opened)
        try:
            os.utime(where, ns=(line["atime"], line["mtime"]), follow_symlinks=opened)
        except OSError as error:
            self.note("the time", error, path)
        self.look(where, line, path, opened, uid, gid)
        try:
            if opened:
                add_flags(where, line.get("flags") or 0)
        except OSError as error:
            self.note("flags of chattr", error, path)

    def attributes(self, where, line, path, opened):
        wanted = {to_bytes(name): value.encode("latin-1") for name, value in (line.get("more") or {}).items()}
        for name in attributes(where, opened):
            # A folder above may hand its ACL down to what is made in it.
            if name.startswith(ACL) and name not in wanted:
                os.removexattr(where, name, follow_symlinks=opened)
        for name, value in wanted.items():
            mapped = acl_mapped(value, self.user, self.group) if name.startswith(ACL) else value
            try:
                os.setxattr(where, name, mapped, follow_symlinks=opened)
            except OSError as error:
                what = "an ACL" if name.startswith(ACL) else "the attribute %s" % to_text(name)
                self.note(what, error, path)

    def look(self, where, line, path, opened, uid, gid):
        """What lies here now; what was told of already is not told twice."""
        status = os.stat(where, follow_symlinks=opened)
        seen = {
            "the owner": (status.st_uid, status.st_gid) == (uid, gid),
            "the mode": stat.S_ISLNK(status.st_mode) or stat.S_IMODE(status.st_mode) == line["mode"],
            "the time": status.st_mtime_ns == line["mtime"],
        }
        for what, right in seen.items():
            if not right and what not in self.lost:
                self.note(what, "it did not stay", path)
