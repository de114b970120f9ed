# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the programs that run on hypervisors: Python >= 3.6, standard library only, never imported there."""
