"""Checks that nobody but the user of this process and root can change files, or replace them."""
import errno
import grp
import os
import pwd
import stat

MAXIMUM_LINKS = 40


def objection(path):
    """Returns the reason for which a file or a folder must not be loaded, or None.

    The folders above it count, and those that hold a symbolic link on the way to it.
    """
    path = os.path.abspath(path)
    try:
        return of_links(path) or of_place(path, os.path.realpath(path))
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def of_place(path, real):
    """Judges a file or a folder and the folders above it."""
    reason = of_status(os.stat(real), real)
    if reason:
        return reason
    while real != "/":
        real = os.path.dirname(real)
        if reason := of_ancestor(real):
            return reason
    return None


def of_ancestor(folder):
    """Judges a folder above a file. In a sticky one, such as /tmp, everyone can change only their own files."""
    status = os.stat(folder)
    reason = of_owner(status) if status.st_mode & stat.S_ISVTX else of_status(status, folder)
    return reason and f"in the folder {folder}: {reason}"


def of_links(path):
    """Judges the folders that hold the links on the way to a path: others could replace those."""
    rest, folder, links = path.split("/")[::-1], "/", 0
    while rest:
        part = rest.pop()
        if part in ("", "."):
            continue
        if part == "..":
            folder = os.path.dirname(folder)
            continue
        place = os.path.join(folder, part)
        status = os.lstat(place)
        if not stat.S_ISLNK(status.st_mode):
            folder = place
            continue
        links += 1
        if links > MAXIMUM_LINKS:
            return "there are too many links on the way to it"
        if reason := of_owner(status) or of_ancestor(folder):
            return f"the link {place}: {reason}"
        target = os.readlink(place)
        folder = "/" if target.startswith("/") else folder
        rest += target.split("/")[::-1]
    return None


def of_owner(status):
    if status.st_uid in (0, os.geteuid()):
        return None
    try:
        name = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        name = f"the user {status.st_uid}"
    return f"it belongs to {name}, who could change it; make root or the user that runs Petrel its owner"


def of_status(status, path):
    """Judges an owner and permissions."""
    if reason := of_owner(status):
        return reason
    if status.st_mode & stat.S_IWOTH:
        return "all users of the machine can write to it; run `chmod o-w` on it"
    if status.st_mode & stat.S_IWGRP and not is_private(status.st_gid, status.st_uid):
        return "the members of its group can write to it; run `chmod g-w` on it"
    # With an access list, the bit of the group is the mask of all its entries.
    if status.st_mode & stat.S_IWGRP and has_access_list(path):
        return "its access list may let others write to it; run `setfacl -b` on it"
    return None


def has_access_list(path):
    """Returns True if a file or a folder has a POSIX access list besides its permissions, or if that is unknown."""
    if not hasattr(os, "getxattr"):
        return False
    try:
        os.getxattr(path, "system.posix_acl_access")
        return True
    except OSError as error:
        return error.errno not in (errno.ENODATA, errno.EOPNOTSUPP)


def is_private(group, user):
    """Returns True if a group consists only of one user, who has the same name, as many systems create it."""
    try:
        entry, owner = grp.getgrgid(group), pwd.getpwuid(user)
    except KeyError:
        return False
    return owner.pw_gid == group and entry.gr_name == owner.pw_name and not entry.gr_mem
