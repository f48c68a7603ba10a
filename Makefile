# make run    the whole service on http://localhost:8282, set up first where needed; Ctrl-C ends it
# make test   all tests        make lint   linters and types        make bench   the benchmarks
#             on SQLite; with DATABASE=postgresql on a PostgreSQL that they start
# make lambda the Lambda function on http://localhost:9000, without Docker; docs/lambda.md
# make docs   the documentation as a site, in .cache/site
# make lock   compile requirements/ from pyproject.toml             make clean   forget the set-up

.PHONY: run test lint bench docs lambda lock clean setup setup-test python
.DEFAULT_GOAL := run

MODERN = import sys; sys.exit(sys.version_info < (3, 11))
PYTHON := $(shell for p in python3.11 python3; do $$p -c '$(MODERN)' 2>/dev/null && echo $$p && break; done)
VENV = .venv/bin/python
DATABASE = sqlite

run: setup
	@$(VENV) -m tools.run

test: setup-test
	$(VENV) manage.py test --database $(DATABASE) $(ARGS)

lint: setup-test
	$(VENV) -m ruff check
	$(VENV) -m ruff format --check
	$(VENV) -m mypy

bench: setup-test
	$(VENV) -m benchmarks $(ARGS)

docs: setup-test
	@NO_MKDOCS_2_WARNING=1 $(VENV) -m mkdocs build --strict --quiet
	@echo "The documentation is at .cache/site/index.html"

lambda: setup-test
	@$(VENV) -m lambdaworker.emulator $(ARGS)

lock:
	tools/lock

clean:
	rm -rf .venv .cache .mypy_cache .ruff_cache .hypothesis

setup: python
	@$(PYTHON) -m tools.setup

setup-test: python
	@$(PYTHON) -m tools.setup --test

python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 is needed: apt-get install python3" >&2; exit 1; }
