# Two commands do everything on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: setup run demo test check coverage docs figures bench

setup: $(READY)

# torch comes first and pinned: any other way pulls in gigabytes of GPU libraries. Debian keeps
# what `venv` needs in a package of its own.
$(READY): requirements.lock pyproject.toml
	test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV) || \
		{ apt-get update && apt-get install -y python3-venv && $(PYTHON) -m venv --clear $(VENV); }
	$(PIP) "$$(grep '^torch==' requirements.lock)"
	$(PIP) -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

run: $(READY)
	$(BIN)/python -m apps.run

demo: $(READY)
	$(BIN)/python -m core.demo apps/home.py --preload \
		apps.chatbot.answers,apps.stock_forecast.as_of,apps.stock_forecast.plots,apps.gradient_lab.live

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The quick tests alone cover core and data by 98 %; less than 90 fails.
test: check
	tests/browser/install.sh
	$(BIN)/python -m pytest -m "not slow" --cov --cov-report=
	$(BIN)/python -m pytest -m slow

coverage: $(READY)
	$(BIN)/python -m pytest --cov --cov-report=term-missing

# The variable silences a notice of the theme about another major version of MkDocs.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

# The figures of the chapter on why RNNs forget; they need kaleido and a Chromium.
figures: $(READY)
	$(BIN)/gradient-lab show all --out docs/why/figures --format svg

bench: DATA ?= ../shared/data
bench: $(READY)
	$(BIN)/python -m benchmarks.fuzz
	$(BIN)/python -m benchmarks.padding
	$(BIN)/python -m benchmarks.scan
	$(BIN)/python -m benchmarks.monitor
	$(BIN)/python -m benchmarks.reply_latency
	$(BIN)/python -m benchmarks.training_speed
	$(BIN)/python -m benchmarks.corpus_memory
	$(BIN)/python -m benchmarks.quality
	$(BIN)/python -m benchmarks.movement
	$(BIN)/python -m benchmarks.news_ablation
	$(BIN)/python -m benchmarks.run_time
	$(BIN)/python -m benchmarks.forecast_speed
	$(BIN)/python -m benchmarks.price_memory
	$(BIN)/python -m benchmarks.forecast_latency
	$(BIN)/python -m benchmarks.stocknet_protocol
	$(BIN)/python -m benchmarks.own_horizons
	$(BIN)/python -m benchmarks.kills
	$(BIN)/python -m benchmarks.retraining --prices $(DATA)/stocknet/prices.csv.gz
	$(BIN)/python -m benchmarks.retraining --data $(DATA)/cucom/dialogues.jsonl.gz
	$(BIN)/python -m benchmarks.ddp_speed --data $(DATA)/cucom/dialogues.jsonl.gz
