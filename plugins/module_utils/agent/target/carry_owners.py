# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose each entry is: by the archive's own words, for the host between may have other accounts than both ends."""

import os
import stat

from .carry_attributes import acl_ids
from .carry_stream import readable
from .frame import Refused, to_text


class Owners:
    """What Borg's listing says of accounts.

    ``path``: a file of ``uid TAB gid TAB account TAB group TAB path NUL``, with one more NUL at its end. ``numeric``:
    names do not count. ``ours``: the archive is of this host, so that its accounts name the ids that only ACLs hold.
    """

    def __init__(self, path, numeric, ours):
        self.numeric, self.ours = numeric, ours
        self.users, self.groups, self.by_path = {}, {}, {}
        self.told = set()
        #: An account that is not root cannot have given the files to their owners here.
        self.listed = os.geteuid() != 0
        with open(path, "rb") as file:
            lines = file.read().split(b"\0")
        if lines[-2:] != [b"", b""]:
            raise Refused("agent_failed", "Borg did not come to the end of its list of owners.")
        for line in lines[:-2]:
            self.take(line.split(b"\t", 4))

    def take(self, fields):
        if len(fields) != 5 or not fields[0].isdigit() or not fields[1].isdigit():
            return
        uid, gid = int(fields[0]), int(fields[1])
        # Borg gives the number where it has no name.
        if fields[2] != fields[0]:
            self.users.setdefault(uid, to_text(fields[2]))
        if fields[3] != fields[1]:
            self.groups.setdefault(gid, to_text(fields[3]))
        if self.listed:
            known = self.by_path.setdefault(fields[4], (uid, gid))
            if known != (uid, gid):
                # Borg's listing shows bytes that are no UTF-8 as question marks.
                self.by_path[fields[4]] = None

    def of(self, path, status):
        """(uid, gid) of an entry. Folders that the archive does not hold are root's."""
        if not self.listed:
            return status.st_uid, status.st_gid
        found = self.by_path.get(to_text(path).encode("utf-8", "replace"), () if stat.S_ISDIR(status.st_mode) else None)
        if found == ():
            return 0, 0
        if found is None:
            raise Refused(
                "unsupported",
                "It cannot be told whose file %s is in the archive: another name differs from it only in bytes that "
                "are no text. Only root can carry it over: run the library as root." % readable(path),
            )
        return found

    def names(self, uid, gid, acls):
        """The names of these ids, and of those that ACLs hold, that were not told yet: {"users": {}, "groups": {}}."""
        if self.numeric:
            return {}
        users, groups = {uid}, {gid}
        for value in acls:
            more = acl_ids(value)
            users |= more[0]
            groups |= more[1]
        found = {"users": self.told_now("u", users, self.users), "groups": self.told_now("g", groups, self.groups)}
        return {key: names for key, names in found.items() if names}

    def told_now(self, kind, ids, known):
        found = {}
        for number in ids:
            if (kind, number) in self.told:
                continue
            self.told.add((kind, number))
            name = known.get(number) or (self.here(kind, number) if self.ours else "")
            if name:
                found[str(number)] = name
        return found

    @staticmethod
    def here(kind, number):
        import grp
        import pwd

        try:
            return pwd.getpwuid(number).pw_name if kind == "u" else grp.getgrgid(number).gr_name
        except KeyError:
            return ""
