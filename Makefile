# All targets can be run in a fresh clone; `make` alone lists them.
PYTHON = .venv/bin/python
N = 3
BORG =
ARGS =
CMD = make quickstart

.PHONY: help quickstart test test-faults test-env lint bench hosts hosts-down bare clean
.DELETE_ON_ERROR:

help:
	@echo 'make quickstart   back up this machine (/etc as root) and restore a file, with live progress'
	@echo 'make test         every test, on real ssh hosts it starts itself (root on Debian or Ubuntu)'
	@echo '                  ARGS="-k cancel tests/test_engine.py" are given to pytest'
	@echo 'make test-faults  the long tests: a kill at every step of every kind of job, large histories (takes an hour)'
	@echo 'make lint         ruff, mypy --strict, ansible-lint (production)'
	@echo 'make bench        the benchmarks, against bare Borg and borgmatic (takes minutes)'
	@echo 'make hosts N=3    start real ssh hosts and leave them up (BORG=1.2 or 1.4: with Borg)'
	@echo 'make hosts-down   end them'
	@echo 'make bare CMD="make quickstart"   run that in a fresh clone of HEAD on a bare Debian, in a real host'
	@echo 'make clean        remove .venv and what was built'

quickstart: .venv/.base
	@$(PYTHON) examples/quickstart.py

test: test-env
	@scripts/run-tests $(ARGS)

test-faults: test-env
	@scripts/run-tests -m faults $(ARGS)

# What the tests stand on, made before pytest's clock runs.
test-env: .venv/.test
	@scripts/install-test-packages
	@$(PYTHON) -m tests.lab build

lint: .venv/.lint
	.venv/bin/ruff check
	.venv/bin/mypy
	PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/ansible-lint --offline --profile production roles playbooks

bench: test-env
	@$(PYTHON) benchmarks/fleet.py $(ARGS)

hosts:
	@scripts/install-test-packages
	@scripts/hosts up $(N) $(BORG)

hosts-down:
	@scripts/hosts down

bare: export BARE_COMMAND = $(CMD)
bare:
	@scripts/install-test-packages
	@scripts/hosts bare "$$BARE_COMMAND"

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find cyborglib plugins tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# Made again when pyproject.toml changes.
.venv/.base: pyproject.toml
	@scripts/make-venv
	@touch $@

.venv/.test: pyproject.toml
	@scripts/make-venv test
	@touch .venv/.base $@

.venv/.lint: pyproject.toml
	@scripts/make-venv test lint
	@touch .venv/.base .venv/.test $@
