# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that work on a hypervisor: they save a virtual machine as a stream, and bring one back (see README.md)."""

from .bundle import program

__all__ = ["program"]
