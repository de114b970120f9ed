# SPDX-License-Identifier: GPL-3.0-or-later
"""The pieces of the program that runs on targets: Python >= 3.6, standard library only, never imported there."""
