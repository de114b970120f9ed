# SPDX-License-Identifier: GPL-3.0-or-later
"""The job agent: composes the program that runs on a target, and reads what it answers (protocol: README.md)."""

from .bundle import PIECES, AgentError, Lines, answer, exchange, program, source_of, whole

__all__ = ["PIECES", "AgentError", "Lines", "answer", "exchange", "program", "source_of", "whole"]
