-- What a database may hold, with what dumps stumble over. Loaded into the database of the name @DB@ (quoted).
CREATE DATABASE @DB@ CHARACTER SET latin1 COLLATE latin1_german1_ci;
USE @DB@;
CREATE TABLE `a ``t' é` (id INT PRIMARY KEY AUTO_INCREMENT, t TEXT CHARACTER SET utf8mb4, b BLOB, n INT DEFAULT 4,
  g INT AS (n + 1) STORED);
INSERT INTO `a ``t' é` (t, b) VALUES
  ('line\n-- Table structure for table `x`\nä 😀 \\ '' " ; \\! {{ 7*7 }}', UNHEX('00FF0A0D275C')), ('', '');
CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES `a ``t' é` (id));
INSERT INTO child VALUES (1, 1), (2, 2);
CREATE TABLE old (id INT) ENGINE=MyISAM;
INSERT INTO old VALUES (1);
CREATE TABLE nothing (id INT);
CREATE SEQUENCE s1 START WITH 40;
SELECT NEXTVAL(s1);
DELIMITER //
CREATE FUNCTION f1() RETURNS INT DETERMINISTIC RETURN 1//
CREATE PROCEDURE `p'1`() BEGIN
  -- a comment; and ;; in it
  SELECT ';;', '😀';
END//
CREATE EVENT `e ``'1` ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DISABLE DO BEGIN
	-- a tab, ';;' and \ a backslash
	DELETE FROM child WHERE id = '\t\\n 😀';
END//
SET sql_mode = ''//
CREATE EVENT e2 ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DO SELECT 1//
-- Its own name is in its definition.
CREATE TRIGGER @DB@.`t 1` BEFORE INSERT ON @DB@.child FOR EACH ROW BEGIN SET NEW.p = NEW.p; END//
CREATE TRIGGER t2 BEFORE INSERT ON child FOR EACH ROW FOLLOWS `t 1` SET NEW.id = NEW.id//
DELIMITER ;
CREATE VIEW `v ``w` AS SELECT t.id, c.p, f1() AS f FROM `a ``t' é` t JOIN child c ON c.p = t.id;
CREATE VIEW above AS SELECT * FROM `v ``w`;
-- Its definer is gone, so the server shows the database's name in it.
CREATE DEFINER = nobody@nowhere VIEW orphan AS SELECT id FROM child;
-- What was made until now has another collation than its database.
ALTER DATABASE @DB@ CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
