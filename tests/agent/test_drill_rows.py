"""What a dump says it holds: counted from its text, whatever is in its values, in pieces of any size."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.agent.target import drill_rows

MYSQL = rb"""-- MariaDB dump 10.19
CREATE TABLE `orders` (
  `id` int(11) NOT NULL,
  `note` text DEFAULT 'a (b'
) ENGINE=InnoDB;
INSERT INTO `orders` VALUES
(1,'it\'s (1),(2)'),
(2,'a''b;\n(c'),
(3,NULL);
CREATE TABLE `em``pty` (
  `x` int
);
CREATE TABLE `blobs` (
  `id` int
);
INSERT INTO `blobs` (`id`, `da``ta`) VALUES (1,0xDEADBEEF),(2,_binary 'x\\');
INSERT INTO `blobs` (`id`, `da``ta`) VALUES (3,'');
/*!50001 CREATE VIEW `v` AS SELECT 1 AS `a` */;
DELIMITER ;;
CREATE PROCEDURE `p`()
BEGIN
INSERT INTO `orders` VALUES (9,'in a routine');
END ;;
/*!50106 CREATE*/ /*!50117 DEFINER=`root`@`%`*/ /*!50106 EVENT `nightly` ON SCHEDULE EVERY 1 DAY DO SET @x = 1 */ ;;
DELIMITER ;
-- Dump completed
"""
POSTGRESQL = b'''--
SET standard_conforming_strings = on;
COPY public.orders (id, note) FROM stdin;
1\tCOPY public.fake (id) FROM stdin;
2\t\\\\.
3\t\\N
\\.
COPY "a b"."c.d ""e""" (id) FROM stdin;
\\.
SELECT pg_catalog.setval('public.orders_id_seq', 3, true);
'''


def counted(kind: str, text: bytes, piece: int, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[bytes, int], int]:
    said = io.StringIO()
    monkeypatch.setattr(drill_rows, "PIECE", piece)
    monkeypatch.setattr(drill_rows.os, "fdopen", lambda *_: io.BytesIO(text))
    monkeypatch.setattr(drill_rows.sys, "stdout", said)
    drill_rows.main(kind)
    told = json.loads(said.getvalue())
    return {bytes.fromhex(name): rows for name, rows in told["tables"].items()}, told["events"]


def test_mysql(monkeypatch):
    wanted = ({b"orders": 3, b"em``pty": 0, b"blobs": 3}, 1)
    assert counted("mysql", MYSQL, 1 << 20, monkeypatch) == wanted


def test_postgresql(monkeypatch):
    wanted = ({b"public.orders": 3, b'"a b"."c.d ""e"""': 0}, 0)
    assert counted("postgresql", POSTGRESQL, 1 << 20, monkeypatch) == wanted


strings = st.text("ab'\\(),;\n`é", max_size=12)


@given(st.lists(st.lists(strings, min_size=1, max_size=3), min_size=1, max_size=6), st.integers(30, 60), st.booleans())
def test_values_of_any_kind_in_pieces_of_any_size(rows, piece, lines):
    """As the programs escape them: a backslash before quotes and backslashes, \\n for a new line."""

    def literal(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"

    values = (",\n" if lines else ",").join("(" + ",".join(map(literal, row)) + ")" for row in rows)
    text = f"CREATE TABLE `t` (\n);\nINSERT INTO `t` VALUES\n{values};\nINSERT INTO `t` VALUES (1);\n".encode()
    with pytest.MonkeyPatch.context() as patch:
        assert counted("mysql", text, piece, patch) == ({b"t": len(rows) + 1}, 0)


@pytest.mark.parametrize("kind", ["mysql", "postgresql"])
def test_one_that_ends_too_early_is_no_dump(kind, monkeypatch, capsys):
    text = {"mysql": MYSQL, "postgresql": POSTGRESQL}[kind]
    cut = text[: text.index({"mysql": b"(2,'a", "postgresql": b"3\t"}[kind])]
    with pytest.raises(SystemExit):
        counted(kind, cut, 1 << 20, monkeypatch)
    assert "ends in the middle of a table" in capsys.readouterr().err
